"""How long a group needs for what it has not read of a topic yet."""

import time
from collections import deque

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.settings import Kafka
from storage.kafka.client import QUIET, reader_config
from storage.kafka.contact import Renewed, renewed_admin

_SECONDS = 5.0
_PACES = 4
"""The pace is the best of so many looks: a group commits in portions."""


class GroupBehind:
    """Asks the brokers; each look takes two calls. Not for several threads at once."""

    def __init__(self, settings: Kafka, group: str, topic: str) -> None:
        self._places = [TopicPartition(topic, p) for p in range(settings.partitions)]
        self._admin = renewed_admin(settings)
        self._consumer = Renewed(lambda: Consumer(reader_config(settings, group) | QUIET))
        self._before: tuple[float, int] | None = None
        self._paces: deque[float] = deque(maxlen=_PACES)

    def seconds(self) -> float:
        """0 for a group that stands still: it is not
        slow, and nobody's sending less would help.

        Blocks. Raises KafkaException, TimeoutError.
        """
        done, left = self.records()
        return self.judge(done, left, time.monotonic())

    def records(self) -> tuple[int, int]:
        """How many the group has read, and how many are
        left for it, in the partitions that it has begun.
        """
        committed = self._consumer.call(self._committed)
        done = {place.partition: place.offset for place in committed if place.offset >= 0}
        ends = self._admin.call(self._ends)
        left = sum(end - done[p] for p, end in ends.items() if p in done)
        return sum(done.values()), left

    def judge(self, done: int, left: int, now: float) -> float:
        """By how many records were done since the look before."""
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
        """Partition → where it ends."""
        latest = {place: OffsetSpec.latest() for place in self._places}  # type: ignore[no-untyped-call]
        found = admin.list_offsets(latest, request_timeout=_SECONDS)
        return {place.partition: end.result(_SECONDS).offset for place, end in found.items()}
