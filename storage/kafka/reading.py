"""Reads topics from one moment to another, for tools:
as read_committed readers see them, committing nothing.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.settings import Kafka
from storage.kafka.client import QUIET, reader_config
from storage.waiting import Deadline

_SECONDS = 30.0
_BATCH = 5_000
_ELECTION_SECONDS = 10.0
_ELECTING = frozenset({KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION})


class TopicReader:
    """One consumer for any number of reads.

    Raises KafkaException when the brokers do
    not answer, TimeoutError when they stop to.
    """

    def __init__(self, settings: Kafka, group: str) -> None:
        self._partitions = settings.partitions
        self._consumer = Consumer(
            reader_config(settings, group)
            | QUIET
            | {"enable.partition.eof": True, "queued.max.messages.kbytes": 65_536}
        )

    def has(self, topic: str) -> bool:
        return topic in self._consumer.list_topics(timeout=_SECONDS).topics

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """Partition → first offset, and the end
        up to which transactions are decided.
        """
        return {p: self._bounds(TopicPartition(topic, p)) for p in range(self._partitions)}

    def ends(self, topic: str) -> dict[int, int]:
        """Partition → the end of `bounds`."""
        return {partition: end for partition, (_, end) in self.bounds(topic).items()}

    def since(self, topic: str, moment: datetime, ends: Mapping[int, int]) -> dict[int, int]:
        """Partition → offset of the first record of that
        moment or later; the end given where there is none.
        """
        asked = [
            TopicPartition(topic, p, int(moment.timestamp() * 1000))
            for p in range(self._partitions)
        ]
        found = _without_errors(self._consumer.offsets_for_times(asked, timeout=_SECONDS))
        return {
            one.partition: one.offset if one.offset >= 0 else ends[one.partition] for one in found
        }

    def committed(self, topic: str) -> dict[int, int]:
        """Partition → where the reader's group stands; a
        partition in which it committed nothing is left out.
        """
        places = [TopicPartition(topic, p) for p in range(self._partitions)]
        found = _without_errors(self._consumer.committed(places, timeout=_SECONDS))
        return {one.partition: one.offset for one in found if one.offset >= 0}

    def read(
        self, topic: str, begin: Mapping[int, int], end: Mapping[int, int]
    ) -> Iterator[Message]:
        """Every record from `begin` up to `end`
        (not included), in order within a partition.
        """
        left = {p: end[p] for p in begin if begin[p] < end[p]}
        self._consumer.assign([TopicPartition(topic, p, begin[p]) for p in left])
        deadline = Deadline(_SECONDS)
        try:
            while left:
                # `consume` waits for all it was asked for, whatever ends before: a
                # short time-out keeps the end of a topic from costing a long one.
                messages = self._consumer.consume(_BATCH, 0.05)
                if not messages and deadline.has_passed:
                    raise TimeoutError(f"{topic} gave nothing for {_SECONDS:g} s")
                for message in messages:
                    yield from self._one(message, left)
                if messages:  # only now: who takes them may have been long about it
                    deadline = Deadline(_SECONDS)
        finally:
            self._consumer.unassign()  # asked for bounds while it still holds an assignment, it answers after the whole time-out

    def close(self) -> None:
        self._consumer.close()

    def _bounds(self, of: TopicPartition) -> tuple[int, int]:
        """A partition that was just made, or whose
        broker just went, has no leader for a moment.
        """
        deadline = Deadline(_ELECTION_SECONDS)
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(of, timeout=_SECONDS)
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
        if error is not None or offset + 1 >= left.get(partition, 0):
            left.pop(partition, None)


def _without_errors(found: list[TopicPartition]) -> list[TopicPartition]:
    """Raises the error of a partition: its offset would read
    as none, and the partition would be left out silently.
    """
    for one in found:
        if one.error is not None:
            raise KafkaException(one.error)
    return found
