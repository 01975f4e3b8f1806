"""The Kafka consumer of a sink."""

from collections.abc import Sequence

from confluent_kafka import Consumer, TopicPartition

from connectors.postgres.writer import Position
from schemas import metrics
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import METADATA_SECONDS, reader_config
from storage.kafka.member_names import static_member


def sink_consumer(settings: Settings, names: Names) -> Consumer:
    """A member of the sink's group, which is not subscribed yet.

    A worker with a name is a static member: the group waits for it through a restart.
    """
    group = names.group("sink")
    member = static_member(group, settings.worker.name)
    instance = {} if member is None else {"group.instance.id": member}
    return Consumer(
        reader_config(settings.kafka, group)
        | instance
        | {
            "session.timeout.ms": int(settings.kafka.session_timeout_seconds * 1000),
            "topic.metadata.refresh.interval.ms": int(METADATA_SECONDS * 1000),
            # Postgres has the position. Another one is chosen by Positions or by a person.
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "fetch.queue.backoff.ms": 2,
            "queued.max.messages.kbytes": 32_768,
            "check.crcs": False,
        }
    )


def mirror(consumer: Consumer, names: Names, positions: Sequence[Position]) -> None:
    """Copies positions of Postgres to the group, and shows the lag."""
    consumer.commit(
        offsets=[TopicPartition(p.topic, p.partition, p.next_offset) for p in positions],
        asynchronous=True,
    )
    for position in positions:
        high = consumer.get_watermark_offsets(
            TopicPartition(position.topic, position.partition), cached=True
        )[1]
        # Corrected by the end-of-partition event, because transaction markers take offsets
        # too and are never delivered.
        metrics.SINK_LAG.labels(names.logical(position.topic), position.partition).set(
            max(0, high - position.next_offset)
        )
