"""Reads one record by topic, partition and offset."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.settings import Kafka
from storage.kafka.client import QUIET, reader_config

_SECONDS = 5.0


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
        deadline = time.monotonic() + _SECONDS
        while (left := deadline - time.monotonic()) > 0:
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


@contextmanager
def _reading(settings: Kafka, group: str) -> Iterator[Consumer]:
    """A consumer that joins no group and commits nothing."""
    consumer = Consumer(reader_config(settings, group) | QUIET | {"enable.partition.eof": True})
    try:
        yield consumer
    finally:
        consumer.close()
