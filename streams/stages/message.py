"""Builds an EnrichedMessage from what is known.

Pure functions, shared by dedupe (first version) and assemble (later ones).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from schemas.origins import DIRECT
from schemas.records import (
    GENERATION_STEPS,
    Attachment,
    ChatMessage,
    EnrichedMessage,
    FoundAttachment,
    MessageStatus,
    RawMessage,
    Source,
    Step,
)

OLD_AFTER = timedelta(days=1)
"""A message this much older than its arrival is an import.

Its files are stored, but no paid model sees them. Compares two recorded times, so
waiting in a backlog does not make a message old.
"""
AHEAD_AT_MOST = timedelta(days=1)
"""A provider's time that is further than this after the arrival is not used.

Its clock is wrong, and the time of arrival is used instead.
"""

_IN_ROW = (
    "index",
    "type",
    "url",
    "original_url",
    "mime_type",
    "bytes",
    "sha256",
    "status",
    "reason",
    "filename",
    "description",
    "transcript",
    "model",
    "prompt_version",
)
_SKIPPED_FROM_THE_START = frozenset({"no_file", "web_page"})


def first_version(
    chat: ChatMessage,
    raw: RawMessage,
    *,
    generation: int,
    source: Source,
    now: datetime,
    opening: int = 0,
) -> EnrichedMessage:
    """The version of a message before any of its files was fetched."""
    attachments = tuple(_announced(index, found) for index, found in enumerate(chat.attachments))
    degraded = bool(chat.attributes.get("degraded_reason"))
    return EnrichedMessage(
        tenant_id=raw.tenant_id,
        message_key=raw.message_key,
        provider=raw.provider,
        provider_message_id=chat.provider_message_id,
        conversation_id=chat.conversation_id,
        role=chat.role,
        direction=chat.direction,
        kind=chat.kind,
        content=chat.content,
        content_attributes=attributes_json(attachments, chat.attributes),
        status="degraded" if degraded else status_of(attachments),
        version=opening_version(generation, opening),
        occurred_at=_occurred_at(chat, raw),
        received_at=raw.received_at,
        enriched_at=now,
        sender_id=chat.sender_id,
        sender_name=chat.sender_name,
        attachments=attachments,
        endpoint_id=raw.endpoint_id or DIRECT,
        source=source,
        aliases=chat.aliases,
        steps=(
            Step(
                stage="dedupe",
                outcome="forwarded",
                topic=source.topic,
                partition=source.partition,
                offset=source.offset,
                at=now,
            ),
        ),
    )


def _occurred_at(chat: ChatMessage, raw: RawMessage) -> datetime:
    """The provider's time, or the time of arrival if the provider's is missing or impossible."""
    by_provider = chat.occurred_at
    if by_provider is None or by_provider - raw.received_at > AHEAD_AT_MOST:
        return raw.received_at
    return by_provider


OPENINGS = 5
OPENING_STEPS = GENERATION_STEPS // OPENINGS
"""Version numbers per opening: more than 50 attachments with two facts each can use."""


def opening_version(generation: int, opening: int = 0) -> int:
    """The first version number of an opening.

    Opening 0 is the first delivery; each later one brought a file that was missing
    before.
    """
    return generation * GENERATION_STEPS + opening * OPENING_STEPS + 1


def opening_of(version: int) -> int:
    """The opening to which a version belongs, within its generation."""
    return (version - 1) % GENERATION_STEPS // OPENING_STEPS


def unpaid_reason(message: EnrichedMessage, *, is_history: bool = False) -> str | None:
    """The reason why paid models do not see the files of this message, or None if they may.

    The tenant's settings can ask for it nevertheless.
    """
    if message.kind == "note":
        return "private"
    if message.direction == "outbound":
        return "outgoing"
    if is_history:
        return "history"
    return "old" if message.received_at - message.occurred_at > OLD_AFTER else None


def status_of(attachments: Iterable[Attachment]) -> MessageStatus:
    """Returns `pending` while any attachment is, else `degraded` if one failed, else `complete`."""
    statuses = {attachment.status for attachment in attachments}
    if "pending" in statuses:
        return "pending"
    return "degraded" if "failed" in statuses else "complete"


def attributes_json(attachments: Iterable[Attachment], provider: Mapping[str, Any]) -> str:
    """The `content_attributes` document.

    It contains the attachments, their joined descriptions and transcripts, and the
    provider's own fields.
    """
    document: dict[str, Any] = {}
    shown = [
        {name: value for name in _IN_ROW if (value := getattr(attachment, name)) is not None}
        for attachment in attachments
    ]
    if shown:
        document["attachments"] = shown
    for joined in ("description", "transcript"):
        parts = [attachment[joined] for attachment in shown if attachment.get(joined)]
        if parts:
            document[joined] = "\n".join(parts)
    if provider:
        document["provider"] = provider
    return msgspec.json.encode(document).decode()


def provider_attributes(message: EnrichedMessage) -> dict[str, Any]:
    """The `provider` part of a message's content_attributes."""
    document = msgspec.json.decode(message.content_attributes)
    provider: dict[str, Any] = document.get("provider", {})
    return provider


def _announced(index: int, found: FoundAttachment) -> Attachment:
    if found.reason in _SKIPPED_FROM_THE_START:
        status, reason = "skipped", found.reason
    elif not found.has_file:
        status, reason = "failed", found.reason or "media_unavailable"
    else:
        status, reason = "pending", None
    return Attachment(
        index=index,
        type=found.type,
        status=status,  # type: ignore[arg-type]
        reason=reason,
        original_url=found.url,
        mime_type=found.mime_type,
        filename=found.filename,
    )
