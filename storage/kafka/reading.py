"""Reads topics from one time to another, for tools.

It sees what read_committed consumers see, and commits nothing.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.settings import Kafka
from storage.kafka.client import QUIET, reader_config
from storage.kafka.counts import WrongCount, WrongCounts
from storage.waiting import Deadline

_SECONDS = 30.0
_BATCH = 5_000
_ELECTION_SECONDS = 10.0
_ELECTING = frozenset({KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION})


class TopicReader:
    """One consumer for any number of reads. Every read covers all partitions of a topic.

    Raises KafkaException if the brokers do not answer, TimeoutError if they stop
    sending records, and WrongCounts if a topic has another number of partitions than
    the settings say. With `any_count` it accepts that number: a set of topics that is
    not in use any more may have been changed in place.
    """

    def __init__(self, settings: Kafka, group: str, *, any_count: bool = False) -> None:
        self._expected = settings.partitions
        self._any_count = any_count
        self._counts: dict[str, int] = {}
        self._consumer = Consumer(
            reader_config(settings, group)
            | QUIET
            | {"enable.partition.eof": True, "queued.max.messages.kbytes": 65_536}
        )

    def has(self, topic: str) -> bool:
        return topic in self._consumer.list_topics(timeout=_SECONDS).topics

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """Maps each partition to its first offset and its end, the last stable offset."""
        return {p: self._bounds(TopicPartition(topic, p)) for p in self._partitions(topic)}

    def ends(self, topic: str) -> dict[int, int]:
        """Maps each partition to the end of `bounds`."""
        return {partition: end for partition, (_, end) in self.bounds(topic).items()}

    def since(self, topic: str, moment: datetime, ends: Mapping[int, int]) -> dict[int, int]:
        """Maps each partition to the offset of the first record at or after `moment`.

        If there is none, the value is the partition's end from `ends`.
        """
        times = [
            TopicPartition(topic, p, int(moment.timestamp() * 1000))
            for p in self._partitions(topic)
        ]
        found = _without_errors(self._consumer.offsets_for_times(times, timeout=_SECONDS))
        return {
            place.partition: place.offset if place.offset >= 0 else ends[place.partition]
            for place in found
        }

    def committed(self, topic: str) -> dict[int, int]:
        """Maps each partition to the committed offset of the reader's group.

        Partitions without one are missing.
        """
        places = [TopicPartition(topic, p) for p in self._partitions(topic)]
        found = _without_errors(self._consumer.committed(places, timeout=_SECONDS))
        return {place.partition: place.offset for place in found if place.offset >= 0}

    def read(
        self, topic: str, begin: Mapping[int, int], end: Mapping[int, int]
    ) -> Iterator[Message]:
        """Yields the records from `begin` to before `end`, in order per partition."""
        left = {p: end[p] for p in begin if begin[p] < end[p]}
        self._consumer.assign([TopicPartition(topic, p, begin[p]) for p in left])
        deadline = Deadline(_SECONDS)
        try:
            while left:
                # `consume` waits for the full number of records even at the end of a
                # topic. With a short time-out that costs little.
                messages = self._consumer.consume(_BATCH, 0.05)
                if not messages and deadline.has_passed:
                    raise TimeoutError(f"no record of {topic} arrived within {_SECONDS:g} s")
                for message in messages:
                    yield from self._one(message, left)
                # Only now, because the caller may have taken long over them.
                if messages:
                    deadline = Deadline(_SECONDS)
        finally:
            # With an assignment, get_watermark_offsets answers only after its whole time-out.
            self._consumer.unassign()

    def close(self) -> None:
        self._consumer.close()

    def _partitions(self, topic: str) -> range:
        """The partitions of the topic. Raises WrongCounts."""
        if topic not in self._counts:
            found = self._consumer.list_topics(topic, timeout=_SECONDS).topics.get(topic)
            # An unknown topic has none. The next request about it fails and says so.
            count = len(found.partitions) if found else 0
            if count and count != self._expected and not self._any_count:
                raise WrongCounts([WrongCount(topic, count, self._expected)])
            self._counts[topic] = count or self._expected
        return range(self._counts[topic])

    def _bounds(self, place: TopicPartition) -> tuple[int, int]:
        """The first offset and the end of a partition, once it has a leader.

        A new partition has no leader for a moment, and neither has one whose broker stopped.
        """
        deadline = Deadline(_ELECTION_SECONDS)
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(place, timeout=_SECONDS)
                return low, high
            except KafkaException as error:
                if error.args[0].code() not in _ELECTING or deadline.has_passed:
                    raise
                time.sleep(0.1)

    @staticmethod
    def _one(message: Message, left: dict[int, int]) -> Iterator[Message]:
        error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if error is None and offset < left.get(partition, 0):
            yield message
        # A leader that was just elected may report the end of the partition too early, because
        # its high watermark lags. The missing records follow.
        if offset + (error is None) >= left.get(partition, 0):
            left.pop(partition, None)


def _without_errors(found: list[TopicPartition]) -> list[TopicPartition]:
    """Raises the error of a partition, which would otherwise be skipped silently.

    The offset of such a partition looks like "none".
    """
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return found
