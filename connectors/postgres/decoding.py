"""Decodes Kafka messages into what the sink stores. Pure."""

from collections.abc import Iterable
from contextlib import suppress

import msgspec
from confluent_kafka import Message

from connectors.postgres.held_partitions import HeldPartitions
from connectors.postgres.rows import ended_by, message_rows
from connectors.postgres.writer import Placed, SinkRecord, Work
from schemas.codec import Undecodable, decode
from schemas.outcomes import Quarantine
from schemas.pipeline import STAGES, TopicName
from schemas.records import EnrichedMessage, Quarantined, Receipt, Source
from schemas.topics import Names
from schemas.versions import UnknownVersion

SINK_TOPICS: dict[TopicName, type[SinkRecord]] = {
    "enriched-messages": EnrichedMessage,
    "quarantine": Quarantined,
    "receipts": Receipt,
}
_OTHER_STAGES = frozenset(stage.encode() for stage in STAGES if stage != "dedupe")
"""Stages whose receipts the sink ignores.

The key of a receipt names its stage, so these need not be decoded.
"""


def decode_batch(
    messages: Iterable[Message], names: Names, held: HeldPartitions
) -> tuple[list[tuple[Placed, Quarantine]], list[Work]]:
    """The undecodable records, and the work to store.

    Receipts are separate work: readers of changes wait for a transaction that contains
    messages, so it contains nothing else. Records after one of a newer program are left
    out. The rows of the messages are made here too, because this runs while Postgres
    works and the writer would let it wait.
    """
    messages_work, receipts_work, undecodable = Work(), Work(), []
    logical_names: dict[str, str] = {}
    for message in messages:
        topic, partition, offset = (
            message.topic() or "",
            message.partition() or 0,
            message.offset() or 0,
        )
        if held and held.holds((topic, partition)):
            continue
        logical = logical_names.get(topic)
        if logical is None:
            logical = logical_names[topic] = names.logical(topic)
        value, key = message.value(), message.key() or b""
        work = receipts_work if logical == "receipts" else messages_work
        if logical == "receipts" and key.partition(b":")[0] in _OTHER_STAGES:
            work.ends[topic, partition] = offset + 1
            continue
        if value is None:
            if logical == "enriched-messages":
                work.ended |= ended_by(key)
            work.ends[topic, partition] = offset + 1
            continue
        source = Source(topic=logical, partition=partition, offset=offset)
        try:
            record = decode(SINK_TOPICS[logical], value)  # type: ignore[index]
        except UnknownVersion as newer:
            held.hold((topic, partition), offset, newer)
            continue
        except Undecodable as error:
            placed = Placed(source, None, key, value, message.headers)  # type: ignore[arg-type]
            undecodable.append((placed, Quarantine("record_undecodable", str(error))))
        else:
            work.placed.append(Placed(source, record, key, value, message.headers))
        work.ends[topic, partition] = offset + 1
    decoded = [p.record for p in messages_work.placed if isinstance(p.record, EnrichedMessage)]
    if decoded:
        # Otherwise the writer makes them, and finds the record of which it cannot.
        with suppress(ValueError, OverflowError, msgspec.MsgspecError):
            messages_work.rows = message_rows(decoded)
    return undecodable, [work for work in (messages_work, receipts_work) if work.ends]
