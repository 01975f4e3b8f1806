"""Decodes Kafka messages into what the sink stores. Pure."""

from collections.abc import Iterable

import msgspec
from confluent_kafka import Message

from connectors.postgres.held_partitions import HeldPartitions
from connectors.postgres.rows import MessageRows, ended_by, message_rows
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
    messages_work.rows = _rows(messages_work)
    return undecodable, [work for work in (messages_work, receipts_work) if work.ends]


def _rows(work: Work) -> MessageRows | None:
    """The rows of the messages, or None if there are no messages.

    None also if they cannot be made. The writer then finds the record that is the cause.
    """
    messages = [one.record for one in work.placed if isinstance(one.record, EnrichedMessage)]
    if not messages:
        return None
    try:
        return message_rows(messages)
    except (ValueError, OverflowError, msgspec.MsgspecError):
        return None
