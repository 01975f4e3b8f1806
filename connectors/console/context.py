"""Builds the context that a bot reads before it answers. Pure functions over rows.

A row is rendered once per version (`show`). Contexts are put together from rendered
rows (`assemble`).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.console.facts import cut_mark, failure_text, message_data, short_text
from connectors.console.marker import Defused, Marker
from connectors.console.queries import ContextKey, ContextRow

Sign = Callable[[str], str]
"""Turns a path into a link with a signature that is valid for a limited time."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A row as every context shows it, without the parts that differ per answer (links and nonce).

    `descriptions` holds the text for each described image or failed file, prepared for
    the marker. `bytes` is the size of the row in an answer.
    """

    stamp: tuple[int, datetime]
    part: Defused
    descriptions: tuple[str, ...]
    bytes: int


def show(row: ContextRow, marker: Marker, language: str) -> Shown:
    """Renders the row and defuses every text that came from outside."""
    provider = row.attributes.get("provider")
    data = message_data(provider if isinstance(provider, dict) else {}, row.message_key)
    part = marker.defuse(
        {
            "message_key": row.message_key,
            "role": row.role,
            "direction": row.direction,
            "kind": row.kind,
            "status": row.status,
            "version": row.stamp[0],
            "content": _readable(row, data, language),
            "occurred_at": row.occurred_at.isoformat(),
            "attachments": _attachments(row.attributes),
            **({"data": data} if data else {}),
        }
    )
    descriptions = tuple(
        marker.inside(description)
        for attachment in _attachments(row.attributes)
        if (description := attachment.get("description") or failure_text(attachment, language))
    )
    size = len(encoded(part.document)) + sum(len(one.encode()) for one in descriptions)
    return Shown(row.stamp, part, descriptions, size)


Chosen = Sequence[tuple[ContextKey, Shown]]


def fitting(keys: Sequence[ContextKey], shown: Mapping[str, Shown], total_bytes: int) -> Chosen:
    """Chooses the messages of an answer from `keys`, which are newest first.

    Returns them oldest first. Older messages that would exceed `total_bytes` are left
    out; the newest one is always included.
    """
    chosen: list[tuple[ContextKey, Shown]] = []
    used = 0
    for key in keys:
        one = shown.get(key.message_key)
        if one is None or (chosen and used + one.bytes > total_bytes):
            break
        used += one.bytes
        chosen.append((key, one))
    return chosen[::-1]


def assemble(
    conversation_id: str, chosen: Chosen, pending: Iterable[str], marker: Marker, sign: Sign
) -> dict[str, Any]:
    """Returns `{conversation_id, visual_context, messages, pending}`."""
    head = marker.defuse({"conversation_id": conversation_id, "pending": list(pending)})
    around, *documents = marker.joined(head, *(one.part for _, one in chosen))
    nonce = marker.drawn_nonce()
    lines = [
        marker.framed(description, nonce)
        for key, one in chosen
        if key.is_recent
        for description in one.descriptions
    ]
    return {
        "conversation_id": around["conversation_id"],
        "visual_context": "\n".join(lines),
        **({"visual_context_nonce": nonce} if nonce else {}),
        "messages": [
            document | {"attachments": signed(document["attachments"], sign)}
            for (key, _), document in zip(chosen, documents, strict=True)
            if key.is_within
        ],
        "pending": around["pending"],
    }


def signed(attachments: list[dict[str, Any]], sign: Sign) -> list[dict[str, Any]]:
    """Adds a signed link to each stored attachment."""
    return [
        one | {"signed_url": sign(one["url"])} if one.get("url") else one for one in attachments
    ]


def shown_message(message: dict[str, Any], marker: Marker, sign: Sign) -> dict[str, Any]:
    """Renders a whole row for a message answer, defused and with signed links."""
    plain = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in message.items()
    }
    document: dict[str, Any] = marker.answer(plain)
    attributes = document["content_attributes"]
    if "attachments" in attributes:
        attributes["attachments"] = signed(_attachments(attributes), sign)
    return document


def encoded(document: Any) -> bytes:
    """Encodes a document as JSON in UTF-8."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _readable(row: ContextRow, data: dict[str, Any], language: str) -> str | None:
    """Returns the text and the transcripts, without repetition; if there are none, the
    data in words.
    """
    transcript = row.attributes.get("transcript")
    parts = [row.content + cut_mark(language) if row.is_cut else row.content] if row.content else []
    is_heard = transcript == row.content or (
        row.is_cut and transcript and row.content and row.content.startswith(transcript[:1_000])
    )
    if transcript and not is_heard:
        parts.append(transcript)
    return "\n".join(parts) if parts else short_text(data, language)


def _attachments(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = attributes.get("attachments", [])
    return found
