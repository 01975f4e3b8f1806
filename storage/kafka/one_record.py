"""Reads one record by its position, or the records of one key by their time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.settings import Kafka
from storage.kafka.client import QUIET, reader_config
from storage.waiting import Deadline

_SECONDS = 5.0
_BATCH = 1_000
TimeRange = tuple[int, int]
"""The first and the last time of a span, in milliseconds since 1970."""


def record_at(
    settings: Kafka, group: str, topic: str, partition: int, offset: int
) -> Message | None:
    """The record, or None if it no longer exists.

    Blocks. Raises KafkaException and TimeoutError.
    """
    with _reading(settings, group) as consumer:
        there = consumer.list_topics(topic, timeout=_SECONDS).topics[topic]
        if there.error is not None or partition not in there.partitions:
            return None
        place = TopicPartition(topic, partition)
        first, end = consumer.get_watermark_offsets(place, timeout=_SECONDS)
        if not first <= offset < end:
            return None
        consumer.assign([TopicPartition(topic, partition, offset)])
        deadline = Deadline(_SECONDS)
        while (left := deadline.left) > 0:
            message = consumer.poll(left)
            if message is None:
                break
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return None
            if error is not None:
                raise KafkaException(error)
            return message if message.offset() == offset else None  # compacted away
        raise TimeoutError(f"no record of {topic} arrived within {_SECONDS:g} s")


def records_of_key(
    settings: Kafka,
    group: str,
    place: tuple[str, int],
    key: bytes,
    spans: Sequence[TimeRange],
    most: int,
) -> tuple[list[Message], bool]:
    """The records of a key in a partition that were written within some spans, oldest first.

    Reads at most about `most` records and takes at most about _SECONDS. The flag is False
    if it stopped early, so that there may be other records. Blocks. Raises KafkaException.
    """
    found: list[Message] = []
    deadline, looked = Deadline(_SECONDS), 0
    with _reading(settings, group) as consumer:
        there = consumer.list_topics(place[0], timeout=_SECONDS).topics[place[0]]
        if there.error is not None or place[1] not in there.partitions:
            return [], True
        for begin, until in spans:
            (start,) = consumer.offsets_for_times([TopicPartition(*place, begin)], timeout=_SECONDS)
            if start.error is not None:
                raise KafkaException(start.error)
            if start.offset < 0:
                continue
            consumer.assign([start])
            is_over = False
            while not is_over:
                if looked >= most or deadline.has_passed:
                    return found, False
                batch = consumer.consume(_BATCH, 0.2)
                looked += len(batch)
                for message in batch:
                    if is_over := _ends(message, until):
                        break
                    if message.key() == key:
                        found.append(message)
    return found, True


def _ends(message: Message, until: int) -> bool:
    """True if the message is later than `until` or marks the end of the partition."""
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return error is not None or message.timestamp()[1] > until


@contextmanager
def _reading(settings: Kafka, group: str) -> Iterator[Consumer]:
    """A consumer that joins no group and commits nothing."""
    consumer = Consumer(reader_config(settings, group) | QUIET | {"enable.partition.eof": True})
    try:
        yield consumer
    finally:
        consumer.close()
