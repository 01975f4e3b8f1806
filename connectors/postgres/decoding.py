"""From Kafka messages to what the sink stores. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import Message

from connectors.postgres.writer import Placed, Stored, Work
from schemas.codec import Undecodable, decode
from schemas.records import EnrichedMessage, Quarantined, Receipt, Source
from schemas.topics import Names, TopicName
from schemas.versions import UnknownVersion

SINK_TOPICS: dict[TopicName, type[Stored]] = {
    "enriched-messages": EnrichedMessage,
    "quarantine": Quarantined,
    "receipts": Receipt,
}


@dataclass(slots=True)
class Decoded:
    """A batch. `undecodable` is not ours; `held` are partitions in which a record of a newer program comes next, and its version."""

    undecodable: list[tuple[Placed, str]] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    held: dict[tuple[str, int], str] = field(default_factory=dict)


def decode_batch(messages: Iterable[Message], names: Names) -> Decoded:
    """Receipts are work of their own. They touch rows of other sinks' messages, so in one transaction with messages two sinks
    would wait for each other in a ring.
    """
    messages_work, receipts_work, batch = Work(), Work(), Decoded()
    for message in messages:
        place = (message.topic() or "", message.partition() or 0)
        if place in batch.held:
            continue
        logical, value, key = names.logical(place[0]), message.value(), message.key() or b""
        work = receipts_work if logical == "receipts" else messages_work
        end = (message.offset() or 0) + 1
        if value is None:
            work.ends[place] = end
            continue  # a tombstone: the topic forgets, the row stays
        source = Source(topic=logical, partition=place[1], offset=end - 1)
        try:
            record = decode(SINK_TOPICS[logical], value)  # type: ignore[index]
        except UnknownVersion as error:
            batch.held[place] = str(error)
            continue
        except Undecodable as error:
            placed = Placed(source, None, key, value, message.headers)  # type: ignore[arg-type]
            batch.undecodable.append((placed, f"record_undecodable: {error}"))
        else:
            work.placed.append(Placed(source, record, key, value, message.headers))
        work.ends[place] = end
    batch.works = [work for work in (messages_work, receipts_work) if work.ends]
    return batch
