"""Estimates how long a consumer group needs for the records it has not read yet."""

import time
from collections import deque

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.settings import Kafka
from storage.kafka.client import QUIET, reader_config
from storage.kafka.reconnection import Renewed, renewed_admin

_SECONDS = 5.0
_PACES = 4
"""The best pace of this many measurements counts, as groups commit in batches."""


class GroupBehind:
    """Measures the lag of one group in one topic.

    Each measurement takes two broker calls. Not thread-safe.
    """

    def __init__(self, settings: Kafka, group: str, topic: str) -> None:
        self._places = [TopicPartition(topic, p) for p in range(settings.partitions)]
        self._admin = renewed_admin(settings)
        self._consumer = Renewed(lambda: Consumer(reader_config(settings, group) | QUIET))
        self._before: tuple[float, int] | None = None
        self._paces: deque[float] = deque(maxlen=_PACES)

    def seconds(self) -> float:
        """The seconds that the group needs for its lag, at its best recent pace.

        Returns 0 if the group makes no progress: it is then not slow, and sending less
        would not help. Blocks. Raises KafkaException and TimeoutError.
        """
        done, left = self.records()
        return self.judge(done, left, time.monotonic())

    def records(self) -> tuple[int, int]:
        """The records read and left, in partitions where the group has committed."""
        committed = self._consumer.call(self._committed)
        done = {place.partition: place.offset for place in committed if place.offset >= 0}
        ends = self._admin.call(self._ends)
        left = sum(end - done[p] for p, end in ends.items() if p in done)
        return sum(done.values()), left

    def judge(self, done: int, left: int, now: float) -> float:
        """The seconds for `left` records, at the pace since the last measurement."""
        if self._before is not None:
            at, before = self._before
            self._paces.append(max(0.0, (done - before) / max(0.01, now - at)))
        self._before = (now, done)
        pace = max(self._paces, default=0.0)
        return left / pace if pace else 0.0

    def _committed(self, consumer: Consumer) -> list[TopicPartition]:
        committed: list[TopicPartition] = consumer.committed(self._places, _SECONDS)
        wrong = next((place.error for place in committed if place.error is not None), None)
        if wrong is not None:
            raise KafkaException(wrong)
        return committed

    def _ends(self, admin: AdminClient) -> dict[int, int]:
        """Maps each partition to its end offset."""
        latest = {place: OffsetSpec.latest() for place in self._places}  # type: ignore[no-untyped-call]
        found = admin.list_offsets(latest, request_timeout=_SECONDS)
        return {place.partition: end.result(_SECONDS).offset for place, end in found.items()}
