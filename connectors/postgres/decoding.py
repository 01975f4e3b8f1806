"""From Kafka messages to what the sink stores. Pure."""

from collections.abc import Iterable

from confluent_kafka import Message

from connectors.postgres.writer import Placed, Stored, Work
from schemas.codec import Undecodable, decode
from schemas.records import EnrichedMessage, Quarantined, Receipt, Source
from schemas.topics import Names, TopicName

SINK_TOPICS: dict[TopicName, type[Stored]] = {
    "enriched-messages": EnrichedMessage,
    "quarantine": Quarantined,
    "receipts": Receipt,
}


def decode_batch(
    messages: Iterable[Message], names: Names
) -> tuple[list[tuple[Placed, str]], list[Work]]:
    """What is not ours, and the work: receipts apart. They touch rows of other sinks' messages, so in one transaction with
    messages two sinks would wait for each other in a ring.
    """
    messages_work, receipts_work, undecodable = Work(), Work(), []
    for message in messages:
        topic, partition, offset = (
            message.topic() or "",
            message.partition() or 0,
            message.offset() or 0,
        )
        logical, value, key = names.logical(topic), message.value(), message.key() or b""
        work = receipts_work if logical == "receipts" else messages_work
        work.ends[topic, partition] = offset + 1
        if value is None:
            continue  # a tombstone: the topic forgets, the row stays
        source = Source(topic=logical, partition=partition, offset=offset)
        try:
            record = decode(SINK_TOPICS[logical], value)  # type: ignore[index]
        except Undecodable as error:
            placed = Placed(source, None, key, value, message.headers)  # type: ignore[arg-type]
            undecodable.append((placed, f"record_undecodable: {error}"))
        else:
            work.placed.append(Placed(source, record, key, value, message.headers))
    return undecodable, [work for work in (messages_work, receipts_work) if work.ends]
