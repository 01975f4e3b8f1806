"""A read_committed reader of enriched-messages, as data teams have.

It records what it sees, and when.
"""

import threading
import time
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, TopicPartition

from schemas.codec import decode
from schemas.records import EnrichedMessage
from schemas.settings import Kafka
from storage.kafka.client import reader_config
from tests.chaos.facts import Version

READ_SECONDS = 60.0


@dataclass(frozen=True)
class Seen:
    key: str
    version: int
    status: str
    partition: int
    at: float


class Watcher:
    """Reads from the end of the topic, in a thread."""

    def __init__(self, settings: Kafka, topic: str) -> None:
        self.seen: list[Seen] = []
        self.starts = dict(enumerate(ends(settings, topic)))
        self._stop = threading.Event()
        self._consumer = Consumer(
            reader_config(settings, "chaos-watcher") | {"fetch.wait.max.ms": 50}
        )
        self._consumer.assign(
            [TopicPartition(topic, partition, offset) for partition, offset in self.starts.items()]
        )
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._consumer.close()

    def first_seen(self) -> dict[str, float]:
        """When the first version of each message became visible."""
        first: dict[str, float] = {}
        for one in self.seen:
            first.setdefault(one.key, one.at)
        return first

    def hidden_seconds(self, since: float, until: float) -> float:
        """The longest time without a new record in a partition, between two times of steady load."""
        times = {partition: [since] for partition in self.starts}
        for one in self.seen:
            if since < one.at < until:
                times[one.partition].append(one.at)
        gaps = [
            after - before
            for several in times.values()
            for before, after in zip(several, [*several[1:], until], strict=True)
        ]
        return max(gaps)

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, 0.1):
                if message.error() is None:
                    record = decode(EnrichedMessage, message.value())
                    self.seen.append(
                        Seen(
                            record.message_key,
                            record.version,
                            record.status,
                            message.partition() or 0,
                            time.time(),
                        )
                    )


def ends(settings: Kafka, topic: str) -> list[int]:
    """The end offset of each partition, including open transactions."""
    consumer = Consumer(
        reader_config(settings, "chaos-ends") | {"isolation.level": "read_uncommitted"}
    )
    try:
        partitions = range(settings.partitions)
        return [
            consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)[1]
            for partition in partitions
        ]
    finally:
        consumer.close()


def read_all(settings: Kafka, topic: str, starts: dict[int, int]) -> list[Version]:
    """All versions from `starts` to the last stable offset, as a read_committed reader sees them."""
    consumer = Consumer(reader_config(settings, "chaos-oracle") | {"enable.partition.eof": True})
    consumer.assign(
        [TopicPartition(topic, partition, offset) for partition, offset in starts.items()]
    )
    found: list[Version] = []
    ended: set[int] = set()
    deadline = time.monotonic() + READ_SECONDS
    try:
        while len(ended) < len(starts):
            assert time.monotonic() < deadline, f"{topic} could not be read to its end"
            for message in consumer.consume(2_000, 0.2):
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    ended.add(message.partition() or 0)
                    continue
                record = decode(EnrichedMessage, message.value())
                found.append(
                    Version(
                        record.tenant_id,
                        record.message_key,
                        record.version,
                        message.partition() or 0,
                        message.offset() or 0,
                    )
                )
    finally:
        consumer.close()
    return found
