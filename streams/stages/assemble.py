"""assemble: folds each fact that becomes known about a message into its next version.

A version is computed from the opening snapshot and a set of facts, one per slot, so
neither the order nor the number of deliveries matters.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from schemas.codec import decode, encode
from schemas.media import is_sound
from schemas.outcomes import Duplicate, Skip
from schemas.records import (
    Attachment,
    AttachmentType,
    EnrichedMessage,
    Enrichment,
    MessageKind,
    Step,
)
from schemas.topics import MAX_RECORD_BYTES
from schemas.versions import body_of, with_version
from streams.stages.message import (
    attributes_json,
    opening_of,
    provider_attributes,
    status_of,
)

LARGEST_VERSION_BYTES = MAX_RECORD_BYTES - 128 * 1024
_FACTS_BYTES = 1_500_000
"""The most that the texts of all attachments may take. A large snapshot leaves less."""
_FRAME_BYTES = 64 * 1024
_FACT_BYTES = 4 * 1024
"""The size of one attachment's facts without their text: object keys, types, hashes."""
_SHORTER_CHARS = (50_000, 10_000, 2_000, 400, 0)
_OF_FILES: tuple[MessageKind, ...] = ("image", "audio", "video", "document", "sticker", "mixed")
Slot = tuple[int, Literal["media", "result"]]


class OpenMessage(msgspec.Struct, kw_only=True):
    """A message of which some attachments are not finished.

    `last_version` is the version emitted last. `snapshot_bytes` is the snapshot in wire
    format, as it arrived.
    """

    generation: int
    snapshot: EnrichedMessage
    snapshot_bytes: bytes
    last_version: int
    facts: dict[Slot, Enrichment] = {}

    @property
    def is_first_written(self) -> bool:
        """True if the topic already has the version of this opening.

        Only dedupe writes it, and only for the first opening of live traffic.
        """
        return not self.generation and not opening_of(self.snapshot.version)

    def to_bytes(self) -> bytes:
        return with_version(
            _encoder.encode(
                [
                    self.generation,
                    self.last_version,
                    self.snapshot_bytes,
                    [encode(fact) for fact in self.facts.values()],
                ]
            )
        )

    @classmethod
    def from_bytes(cls, value: bytes) -> "OpenMessage":
        """Decodes a table value.

        Raises UnknownVersion for the state or for a record in it.
        """
        generation, last_version, snapshot, facts = _decoder.decode(body_of(value, "OpenMessage"))
        opened = cls(
            generation=generation,
            last_version=last_version,
            snapshot=decode(EnrichedMessage, snapshot),
            snapshot_bytes=snapshot,
        )
        for fact in facts:
            enrichment = decode(Enrichment, fact)
            for slot in opened.slots_of(enrichment):
                opened.facts[slot] = enrichment
        return opened

    def slots_of(self, enrichment: Enrichment) -> list[Slot]:
        """Returns the slots that the enrichment fills.

        Without an index (its job could not be read) it fills every slot of the pending
        attachments that is still empty.
        """
        slot_name: Literal["media", "result"] = (
            "media" if enrichment.stage == "store_media" else "result"
        )
        if enrichment.index is not None:
            return [(enrichment.index, slot_name)]
        return [
            (attachment.index, slot_name)
            for attachment in self.snapshot.attachments
            if attachment.status == "pending" and (attachment.index, slot_name) not in self.facts
        ]


class ClosedMessage(msgspec.Struct, frozen=True):
    """The rest of a message that a repair finished, kept so that no lower version follows.

    `day` counts from 1970-01-01.
    """

    last_version: int
    day: int

    def to_bytes(self) -> bytes:
        return with_version(_encoder.encode([self.last_version, self.day]))


def kept_message(value: bytes) -> OpenMessage | ClosedMessage:
    """Decodes the table's value of a message. Raises UnknownVersion."""
    return closed_message(value) or OpenMessage.from_bytes(value)


def closed_message(value: bytes) -> ClosedMessage | None:
    """Returns the closed message, or None if it is open.

    Does not decode open messages, so it may be called for every entry.
    """
    body = body_of(value, "OpenMessage")
    return ClosedMessage(*_closed_decoder.decode(body)) if body[:1] == _ARRAY_OF_TWO else None


_ARRAY_OF_TWO = b"\x92"
_closed_decoder = msgspec.msgpack.Decoder(tuple[int, int])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, int, bytes, list[bytes]])


def open_message(enrichment: Enrichment) -> OpenMessage:
    """Returns the state that an `opened` enrichment begins.

    Raises Undecodable if the snapshot is not valid.
    """
    snapshot = decode(EnrichedMessage, enrichment.snapshot)
    opened = OpenMessage(
        generation=enrichment.generation,
        snapshot=snapshot,
        snapshot_bytes=enrichment.snapshot or b"",
        last_version=snapshot.version,
    )
    if not opened.is_first_written:
        opened.last_version -= 1
    return opened


def fold(
    state: OpenMessage | ClosedMessage | None, enrichment: Enrichment
) -> OpenMessage | Duplicate | Skip:
    """Adds the enrichment to the state, which is changed in place, and returns it.

    An `opened` of a higher generation replaces the state, and a later opening of the
    same generation extends it. An enrichment is late (Skip) if its generation is lower,
    if its key is not open, or if it opens below the version that a repair wrote last.
    """
    if isinstance(state, ClosedMessage):
        opened = open_message(enrichment) if enrichment.kind == "opened" else None
        return opened if opened and opened.last_version >= state.last_version else Skip("late")
    if enrichment.kind == "opened":
        if state is None or enrichment.generation > state.generation:
            return open_message(enrichment)
        if enrichment.generation < state.generation:
            return Skip("late")
        return _opened_again(state, open_message(enrichment))
    if state is None or enrichment.generation != state.generation:
        return Skip("late")
    indexes = {attachment.index for attachment in state.snapshot.attachments}
    free = [
        slot
        for slot in state.slots_of(enrichment)
        if slot not in state.facts and slot[0] in indexes
    ]
    if not free:
        return Duplicate()
    fitting = _fitting(enrichment, state)
    for slot in free:
        state.facts[slot] = fitting
    return state


def _opened_again(state: OpenMessage, newer: OpenMessage) -> OpenMessage | Duplicate:
    """Returns the later opening with the known facts about files that both openings have."""
    if newer.snapshot.version <= state.snapshot.version:
        return Duplicate()
    before = {attachment.index: attachment for attachment in state.snapshot.attachments}
    same = {
        attachment.index
        for attachment in newer.snapshot.attachments
        if attachment.index in before and _is_same_file(before[attachment.index], attachment)
    }
    newer.facts = {slot: fact for slot, fact in state.facts.items() if slot[0] in same}
    newer.snapshot = msgspec.structs.replace(
        newer.snapshot,
        received_at=state.snapshot.received_at,
        steps=(*state.snapshot.steps, *newer.snapshot.steps),
    )
    newer.snapshot_bytes = encode(newer.snapshot)
    return newer


def _is_same_file(before: Attachment, after: Attachment) -> bool:
    """Compares URLs without their query, because the signature in it may have been renewed."""
    first, second = before.original_url, after.original_url
    return (
        first is not None
        and second is not None
        and first.partition("?")[0] == second.partition("?")[0]
    )


def _fitting(enrichment: Enrichment, state: OpenMessage) -> Enrichment:
    """Cuts the text so that the texts of all attachments fit into the record of the table.

    The record also contains the snapshot. The limit depends on the snapshot only, so
    the order of arrival does not matter.
    """
    if enrichment.text is None:
        return enrichment
    attachments = len(state.snapshot.attachments)
    room = MAX_RECORD_BYTES - _FRAME_BYTES - len(state.snapshot_bytes) - attachments * _FACT_BYTES
    most_bytes = max(0, min(room, _FACTS_BYTES)) // attachments
    if len(enrichment.text) * 4 <= most_bytes:
        return enrichment
    return msgspec.structs.replace(
        enrichment, text=enrichment.text.encode()[:most_bytes].decode(errors="ignore")
    )


def assemble(state: OpenMessage, now: datetime) -> EnrichedMessage:
    """Computes the next version from the snapshot and the facts alone.

    Texts that together do not fit a Kafka record are cut, each to the same length.
    """
    if state.snapshot.status != "pending":
        # A repaired message without files needs nothing but its version number.
        version = state.last_version + 1
        return msgspec.structs.replace(state.snapshot, version=version, enriched_at=now)
    for most_chars in (None, *_SHORTER_CHARS):
        message = _version(state, now, most_chars)
        # A character takes at most 4 bytes, so this avoids encoding nearly every message.
        if (
            len(message.content_attributes) + 2 * len(message.content or "")
        ) * 4 < LARGEST_VERSION_BYTES:
            break
        if len(encode(message)) <= LARGEST_VERSION_BYTES:
            break
    return message


def _version(state: OpenMessage, now: datetime, most_chars: int | None) -> EnrichedMessage:
    opened = state.snapshot
    attachments = tuple(
        _cut(_attachment(attachment, state), most_chars) for attachment in opened.attachments
    )
    transcript = "\n".join(a.transcript for a in attachments if a.transcript)
    text_of_sender = opened.content if opened.content != _transcript(opened.attachments) else None
    return msgspec.structs.replace(
        opened,
        kind=_kind(opened, attachments),
        content=text_of_sender or transcript or None,
        content_attributes=attributes_json(attachments, provider_attributes(opened)),
        status=status_of(attachments),
        version=state.last_version + 1,
        enriched_at=now,
        attachments=attachments,
        steps=(*opened.steps, *_steps(state)),
    )


def _kind(opened: EnrichedMessage, attachments: Iterable[Attachment]) -> MessageKind:
    """The kind of a message.

    One that consists of its files has the kind that they turned out to be.
    """
    if opened.kind not in _OF_FILES:
        return opened.kind
    types = {attachment.type for attachment in attachments}
    only = next((kind for kind in _OF_FILES if {kind} == types), None)
    return only or ("mixed" if len(types) > 1 else opened.kind)


def _cut(attachment: Attachment, most_chars: int | None) -> Attachment:
    if most_chars is None:
        return attachment
    description, transcript = attachment.description, attachment.transcript
    return msgspec.structs.replace(
        attachment,
        description=description and (description[:most_chars] or None),
        transcript=transcript and (transcript[:most_chars] or None),
    )


def _transcript(attachments: Iterable[Attachment]) -> str:
    return "\n".join(a.transcript for a in attachments if a.transcript)


def _attachment(attachment: Attachment, state: OpenMessage) -> Attachment:
    """Returns the attachment with what is known.

    It stays pending until its last fact is known.
    """
    media, result = (
        state.facts.get((attachment.index, "media")),
        state.facts.get((attachment.index, "result")),
    )
    if attachment.status != "pending":
        return attachment
    if media is None:
        # A repair that only asks the model again: the file is known from an earlier
        # generation.
        return (
            _with_result(attachment, result)
            if result is not None and attachment.object_key is not None
            else attachment
        )
    if media.kind != "stored":
        return msgspec.structs.replace(
            attachment,
            status="skipped" if media.kind == "skipped" else "failed",
            reason=media.reason,
        )
    stored = msgspec.structs.replace(
        attachment,
        type=_type_by_content(attachment.type, media.mime_type),
        url=media.url,
        object_key=media.object_key,
        mime_type=media.mime_type,
        bytes=media.bytes,
        sha256=media.sha256,
    )
    if media.next == "none":
        return msgspec.structs.replace(
            stored, status="skipped" if media.reason else "stored", reason=media.reason
        )
    return stored if result is None else _with_result(stored, result)


def _with_result(attachment: Attachment, result: Enrichment) -> Attachment:
    by = {"model": result.model, "recipe": result.recipe, "prompt_version": result.prompt_version}
    match result.kind:
        case "described":
            return msgspec.structs.replace(
                attachment, status="described", reason=None, description=result.text, **by
            )
        case "transcribed":
            return msgspec.structs.replace(
                attachment, status="transcribed", reason=None, transcript=result.text, **by
            )
        case "skipped":
            return msgspec.structs.replace(attachment, status="skipped", reason=result.reason)
        case _:
            return msgspec.structs.replace(attachment, status="failed", reason=result.reason)


def _type_by_content(announced: AttachmentType, mime_type: str | None) -> AttachmentType:
    """Returns `audio` for all audio, judged by content, so that a frontend shows a player."""
    return "audio" if is_sound(mime_type) else announced


def _steps(state: OpenMessage) -> list[Step]:
    """Returns the steps in slot order, which does not depend on the order of arrival."""
    return [
        Step(
            stage=fact.stage,
            outcome=fact.kind if fact.reason is None else f"{fact.kind}:{fact.reason}",
            topic=fact.source.topic,
            partition=fact.source.partition,
            offset=fact.source.offset,
            at=fact.at,
        )
        for _, fact in sorted(state.facts.items(), key=lambda item: item[0])
    ]
