"""dedupe: the first delivery that is forwarded claims its key.

Every later delivery is a duplicate, in whatever order they arrive. A later delivery
with a file that no earlier one had (the provider sent the message before it had the
file) opens the message again: docs/decisions/0009.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from schemas.arrival import Arrival
from schemas.codec import Undecodable, decode, encode
from schemas.keys import claim_digest
from schemas.outcomes import Duplicate, Forward, Outcome, Output, Quarantine, Skip
from schemas.providers import traits_of
from schemas.records import ChatMessage, EnrichedMessage, Enrichment, MediaJob, RawMessage
from schemas.topics import MAX_RECORD_BYTES
from streams.stages.message import OPENINGS, first_version, unpaid_reason

Read = Callable[[RawMessage], ChatMessage | Skip | Quarantine]
"""A provider adapter: reads a raw record. It never raises."""

_LARGEST_MESSAGE_BYTES = MAX_RECORD_BYTES - 1024 * 1024
"""Leaves room in a record for later versions, which add descriptions and steps."""


class Claimed(Protocol):
    """The digests claimed so far, including those of this batch.

    Must keep a digest for the whole horizon.
    """

    def __contains__(self, digest: bytes) -> bool: ...


def dedupe(arrival: Arrival, *, claimed: Claimed, read: Read, now: datetime) -> Outcome:
    """Decides the outcome of one raw record. The caller claims the `claims` of a Forward.

    No other outcome claims anything, so after a quarantined or skipped delivery the
    next one, or a replay after a fix, can still be forwarded.
    """
    own = digest(arrival)
    is_claimed = own in claimed
    if is_claimed and not traits_of(arrival.provider).sends_updates:
        return Duplicate()
    try:
        raw = decode(RawMessage, arrival.value)
    except Undecodable as error:
        return Duplicate() if is_claimed else Quarantine("record_undecodable", str(error))
    match read(raw):
        case Skip() as skip:
            return skip
        case Quarantine() as verdict:
            return Duplicate() if is_claimed else verdict
        case ChatMessage() as chat if is_claimed:
            # A body of POST /chat may name a provider, but does not come from it.
            by_provider = bool(raw.endpoint_id)
            again = _opened_again(arrival, raw, chat, claimed, now) if by_provider else None
            return again or (Skip("update") if chat.is_update else Duplicate())
        case ChatMessage() as chat:
            claims = (own, *_claims_of_first(arrival, chat))
            return _forward(arrival, raw, chat, now, claims)


def digest(arrival: Arrival) -> bytes:
    """The digest that claims the arrival's message, one per generation."""
    return claim_digest(arrival.key, arrival.generation)


def _part_digest(arrival: Arrival, part: str) -> bytes:
    """The digest that claims a part of the message. A message key contains no NUL."""
    return claim_digest(arrival.key + b"\0" + part.encode(), arrival.generation)


def _claims_of_first(arrival: Arrival, chat: ChatMessage) -> list[bytes]:
    """The further claims of a first delivery, if the provider sends updates of a message.

    They tell a later delivery what this one contained.
    """
    if not traits_of(arrival.provider).sends_updates:
        return []
    if chat.is_deleted:
        return [_part_digest(arrival, "deleted")]
    if chat.content is None and not chat.attachments:
        return [_part_digest(arrival, "empty")]
    return _claims_of_files(arrival, chat)


def _claims_of_files(arrival: Arrival, chat: ChatMessage) -> list[bytes]:
    """Returns one digest per file."""
    return [
        _part_digest(arrival, f"file {attachment.attachment_id or f'at {index}'}")
        for index, attachment in enumerate(chat.attachments)
        if attachment.has_file
    ]


def _opened_again(
    arrival: Arrival, raw: RawMessage, chat: ChatMessage, claimed: Claimed, now: datetime
) -> Forward | Quarantine | None:
    """Forwards a later delivery with a file that no earlier one had.

    It also forwards the text of a message that began empty. Returns None if it brings
    nothing of the kind, or comes after the deletion.
    """
    if chat.is_deleted or _part_digest(arrival, "deleted") in claimed:
        return None
    brought = _claims_of_files(arrival, chat)
    if chat.content is not None and _part_digest(arrival, "empty") in claimed:
        brought.append(_part_digest(arrival, "words"))
    new = [claim for claim in brought if claim not in claimed]
    if not new:
        return None
    for opening in range(1, OPENINGS):
        claim = _part_digest(arrival, f"opening {opening}")
        if claim not in claimed:
            return _forward(arrival, raw, chat, now, (claim, *new), opening)
    return None


def _forward(
    arrival: Arrival,
    raw: RawMessage,
    chat: ChatMessage,
    now: datetime,
    claims: tuple[bytes, ...],
    number: int = 0,
) -> Forward | Quarantine:
    """Forwards the message; `number` counts its openings.

    assemble writes the first version of a later opening and of a repair: it alone knows
    which versions the topic has, so they rise there.
    """
    generation = arrival.generation
    message = first_version(
        chat, raw, generation=generation, source=arrival.source, now=now, opening=number
    )
    size = len(message.content_attributes) + len(message.content or "")
    # `size` counts characters of at most 4 bytes, so most messages need not be encoded.
    if size > _LARGEST_MESSAGE_BYTES // 4:
        size = len(encode(message))
        if size > _LARGEST_MESSAGE_BYTES:
            return Quarantine("record_too_large", f"{size} bytes")
    if message.status != "pending" and not generation:
        return Forward((_version(message),), claims)
    began = opening(message, generation, "dedupe", now)
    opened = Output("enrichments", raw.message_key, began, generation)
    if message.status != "pending":
        return Forward((opened,), claims)
    jobs = tuple(
        Output("media", raw.message_key, job, generation)
        for job in media_jobs(message, chat, raw, generation)
    )
    if number or generation:
        return Forward((opened, *jobs), claims)
    return Forward((_version(message, began.snapshot), opened, *jobs), claims)


def _version(message: EnrichedMessage, value: bytes | None = None) -> Output:
    """The first version of a message of live traffic.

    dedupe itself writes it to `enriched-messages`. `value` is the message in wire
    format, if it is encoded already.
    """
    return Output(
        "enriched-messages", message.message_key, message, 0, message.conversation_id, value
    )


def opening(message: EnrichedMessage, generation: int, stage: str, now: datetime) -> Enrichment:
    """The enrichment that precedes all others of its message key and generation."""
    return Enrichment(
        tenant_id=message.tenant_id,
        message_key=message.message_key,
        provider=message.provider,
        generation=generation,
        kind="opened",
        stage=stage,
        source=message.source,
        at=now,
        snapshot=encode(message),
    )


def media_jobs(
    message: EnrichedMessage, chat: ChatMessage, raw: RawMessage, generation: int
) -> list[MediaJob]:
    """Returns one job per attachment that is to be fetched."""
    unpaid = unpaid_reason(message, is_history=chat.is_history)
    return [
        MediaJob(
            tenant_id=raw.tenant_id,
            message_key=raw.message_key,
            provider=raw.provider,
            generation=generation,
            endpoint_id=raw.endpoint_id,
            index=index,
            type=found.type,
            url=found.url or "",
            media_id=found.media_id,
            mime_type=found.mime_type,
            filename=found.filename,
            declared_sha256=found.declared_sha256,
            unpaid_reason=unpaid,
            occurred_at=message.occurred_at,
            received_at=message.received_at,
        )
        for index, (found, attachment) in enumerate(
            zip(chat.attachments, message.attachments, strict=True)
        )
        if attachment.status == "pending"
    ]
