"""Converts a row into the message that a person sees.

Pure. Masked content never reaches a template.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from connectors.console.facts import message_data
from connectors.console.pages.shown_files import is_picture, is_played
from storage.postgres.repair_plans import GONE_REASONS

Refer = Callable[[str], str]
"""Turns a message key into its reference in page addresses."""

_ROLES = frozenset({"user", "assistant", "agent", "system"})
_MEDIA = frozenset({"image", "audio", "video", "document", "sticker", "other"})
Side = Literal["them", "us", "middle"]
Reported = Literal["", "edit", "revoke"]
"""What a message reports about an earlier one: an edit or a deletion.

WhatsApp sends such a report as a message of its own.
"""


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """An attachment. A failed file has a `reason`.

    `is_image`: a page can show it. `is_played`: all browsers play it as it came.
    """

    index: int
    type: str
    status: str
    reason: str
    is_kept: bool
    is_image: bool
    is_played: bool = True
    mime: str = ""
    bytes: int | None = None
    name: str = ""
    description: str = ""
    transcript: str = ""
    model: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether the provider no longer has the file, and there is no copy of it."""
        return self.status == "failed" and self.reason in GONE_REASONS and not self.is_kept


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message of a chat; if it is masked, all fields with content are empty.

    `at` is the provider's time, `received_at` the one by which messages are ordered.
    `is_too_large`: its attributes were not read, so files and data are missing.
    """

    ref: str
    side: Side
    role: str
    kind: str
    status: str
    at: datetime
    received_at: datetime
    is_masked: bool
    is_note: bool
    is_deleted: bool
    is_too_large: bool = False
    reports: Reported = ""
    sender: str = ""
    text: str = ""
    files: tuple[AttachedFile, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    reactions: tuple[str, ...] = ()
    quoted: str = ""


def bubble(row: Mapping[str, Any], refer: Refer, *, is_masked: bool) -> Bubble:
    """Converts the row of a message."""
    attributes = row["attributes"]
    provider = attributes.get("provider")
    provider = provider if isinstance(provider, dict) else {}
    role = row["role"] if row["role"] in _ROLES else "system"
    is_note = row["kind"] == "note"
    data = {} if is_masked else message_data(provider, row["message_key"])
    quoted = data.get("quoted", {})
    return Bubble(
        ref=refer(row["message_key"]),
        side="middle" if role == "system" and not is_note else "them" if role == "user" else "us",
        role=role,
        kind=row["kind"],
        status=row["status"],
        at=row["occurred_at"],
        received_at=row["received_at"],
        is_masked=is_masked,
        is_note=is_note,
        is_deleted=bool(provider.get("deleted")),
        is_too_large=bool(row.get("is_too_large")),
        reports=reported(provider),
        sender="" if is_masked else row["sender_name"] or "",
        text="" if is_masked else _text(row["content"], attributes),
        files=files_of(attributes, is_masked=is_masked),
        data=data,
        quoted=_string(quoted.get("text")) or ("…" if quoted.get("id") else ""),
    )


def reported(provider: Mapping[str, Any]) -> Reported:
    """Returns what an unsupported message reports about an earlier one, if anything.

    The report has a type of its own, or Meta delivers it as `unsupported` and names the
    type in the detail.
    """
    unsupported = provider.get("unsupported")
    named = unsupported if isinstance(unsupported, dict) else {}
    for name in (named.get("type"), named.get("detail")):
        if name in ("edit", "revoke"):
            return "edit" if name == "edit" else "revoke"
    return ""


def chat(rows: list[Mapping[str, Any]], refer: Refer, *, is_masked: bool) -> list[Bubble]:
    """Returns the messages of a page, oldest first, with reactions attached to their messages."""
    reactions: dict[str, dict[str, str]] = {}
    shown: list[tuple[str, Bubble]] = []
    there = {row["message_key"] for row in rows}
    for row in reversed(rows):
        one = bubble(row, refer, is_masked=is_masked)
        reaction = one.data.get("reaction", {})
        target = _string(reaction.get("message_key"))
        if target in there:
            who = reactions.setdefault(target, {})
            person = row["sender_id"] or row["role"]
            emoji = _string(reaction.get("emoji"))
            if emoji and not reaction.get("removed"):
                who[person] = emoji
            else:
                who.pop(person, None)
        elif not (is_masked and row["kind"] == "reaction"):
            shown.append((row["message_key"], one))
    return [replace(one, reactions=tuple(reactions.get(key, {}).values())) for key, one in shown]


def files_of(attributes: Mapping[str, Any], *, is_masked: bool) -> tuple[AttachedFile, ...]:
    """Returns the files of a message; places and contact cards are data, not files."""
    found = attributes.get("attachments")
    return tuple(
        _file(one, is_masked)
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and one.get("type") in _MEDIA
    )


def _file(one: Mapping[str, Any], is_masked: bool) -> AttachedFile:
    mime = _string(one.get("mime_type"))
    size, index = one.get("bytes"), one.get("index")
    shown = {} if is_masked else one
    return AttachedFile(
        index=index if isinstance(index, int) else 0,
        type=_string(one.get("type")),
        status=_string(one.get("status")),
        reason=_string(one.get("reason")),
        is_kept=bool(one.get("url")),
        is_image=is_picture(mime) and bool(one.get("url")),
        is_played=is_played(mime),
        mime=mime,
        bytes=size if isinstance(size, int) else None,
        model=_string(one.get("model")),
        name=_string(shown.get("filename")),
        description=_string(shown.get("description")),
        transcript=_string(shown.get("transcript")),
    )


def _text(content: str | None, attributes: Mapping[str, Any]) -> str:
    """Returns the content, unless it only repeats the transcript that is shown with the file."""
    transcript = attributes.get("transcript")
    return "" if content is None or content == transcript else content


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
