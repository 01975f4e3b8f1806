"""assemble: folds what became known of a message into its next version.

The message is computed from the opened snapshot and a set of facts,
one a slot: the order in which they came, and how often, cannot matter.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from schemas.codec import decode, encode
from schemas.media import is_sound
from schemas.outcomes import Duplicate, Skip
from schemas.records import Attachment, AttachmentType, EnrichedMessage, Enrichment, Kind, Step
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
"""The texts of all attachments, at most. Less where the snapshot leaves less."""
_FRAME_BYTES = 64 * 1024
_FACT_BYTES = 4 * 1024
"""What the facts of one attachment take beside their text: places, types, hashes."""
_SHORTER_CHARS = (50_000, 10_000, 2_000, 400, 0)
_OF_FILES: tuple[Kind, ...] = ("image", "audio", "video", "document", "sticker", "mixed")
Slot = tuple[int, Literal["media", "result"]]


class OpenMessage(msgspec.Struct, kw_only=True):
    """A message some of whose attachments are still on their way.

    `last_version` is the one emitted last. `snapshot_bytes` is the snapshot in wire format, kept
    as it came.
    """

    generation: int
    snapshot: EnrichedMessage
    snapshot_bytes: bytes
    last_version: int
    facts: dict[Slot, Enrichment] = {}

    @property
    def is_first_written(self) -> bool:
        """Whether the opened version stands in the topic already: only dedupe's of the living
        generation does.
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
        """Raises UnknownVersion, of the state or of a record in it."""
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
        """Where the enrichment belongs.

        Without an index (its job could not even be
        read) it stands for all that is still open.
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
    """What is remembered of a message that a repair finished: nothing of a lower version may follow
    in the topic. `day` since 1970.
    """

    last_version: int
    day: int

    def to_bytes(self) -> bytes:
        return with_version(_encoder.encode([self.last_version, self.day]))


def kept_message(value: bytes) -> OpenMessage | ClosedMessage:
    """What the table holds of a message. Raises UnknownVersion."""
    return closed_message(value) or OpenMessage.from_bytes(value)


def closed_message(value: bytes) -> ClosedMessage | None:
    """The closed message; None: it is open. Cheap enough to be asked of each."""
    body = body_of(value, "OpenMessage")
    return ClosedMessage(*_closed_decoder.decode(body)) if body[:1] == _ARRAY_OF_TWO else None


_ARRAY_OF_TWO = b"\x92"
_closed_decoder = msgspec.msgpack.Decoder(tuple[int, int])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, int, bytes, list[bytes]])


def open_message(enrichment: Enrichment) -> OpenMessage:
    """The state an `opened` enrichment begins.

    Raises Undecodable for a hostile snapshot.
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
    """The state with the enrichment in it. Changes `state` in place.

    An `opened` of a higher generation replaces the state, a later one of the
    same generation adds to it; what is of a lower generation, or of a key that
    is not open, is late. So is an opening below what a repair wrote last.
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
    known = {attachment.index for attachment in state.snapshot.attachments}
    free = [
        slot for slot in state.slots_of(enrichment) if slot not in state.facts and slot[0] in known
    ]
    if not free:
        return Duplicate()
    kept = _fitting(enrichment, state)
    for slot in free:
        state.facts[slot] = kept
    return state


def _opened_again(state: OpenMessage, newer: OpenMessage) -> OpenMessage | Duplicate:
    """The later opening, with what is known already of the files that both have."""
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
    """By their addresses; the signature in the query of one may be new."""
    first, second = before.original_url, after.original_url
    return (
        first is not None
        and second is not None
        and first.partition("?")[0] == second.partition("?")[0]
    )


def _fitting(enrichment: Enrichment, state: OpenMessage) -> Enrichment:
    """With a text so short that those of all attachments fit the table's record beside the
    snapshot: by that alone, so that no order matters.
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
    """The next version: snapshot and facts, nothing else.

    Texts that together would not fit a Kafka record are cut, each to the same length.
    """
    if (
        state.snapshot.status != "pending"
    ):  # a repaired message without files: it only needs its place
        version = state.last_version + 1
        return msgspec.structs.replace(state.snapshot, version=version, enriched_at=now)
    for most_chars in (None, *_SHORTER_CHARS):
        message = _version(state, now, most_chars)
        # Characters take at most 4 bytes; cheap to ask, and
        # enough to know that nearly every message is far below.
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
    said_before = opened.content if opened.content != _transcript(opened.attachments) else None
    return msgspec.structs.replace(
        opened,
        kind=_kind(opened, attachments),
        content=said_before or transcript or None,
        content_attributes=attributes_json(attachments, provider_attributes(opened)),
        status=status_of(attachments),
        version=state.last_version + 1,
        enriched_at=now,
        attachments=attachments,
        steps=(*opened.steps, *_steps(state)),
    )


def _kind(opened: EnrichedMessage, attachments: Iterable[Attachment]) -> Kind:
    """A message that is its files is of the kind they turned out to be."""
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
    """What is known of one attachment.

    It stays pending until its whole way is known.
    """
    media, result = (
        state.facts.get((attachment.index, "media")),
        state.facts.get((attachment.index, "result")),
    )
    if attachment.status != "pending":
        return attachment
    if media is None:
        # Redone from the model on: the file is known from
        # a former generation, only the result is awaited.
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
    """Whatever is audio by content is audio, so that a frontend renders a player."""
    return "audio" if is_sound(mime_type) else announced


def _steps(state: OpenMessage) -> list[Step]:
    """In slot order, which does not depend on the order of arrival."""
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
