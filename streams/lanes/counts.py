"""Whether the topics of a stage have the partitions that the
settings name, looked at from the start and while it runs.
"""

import asyncio
from collections.abc import Iterable

import structlog
from confluent_kafka import KafkaException

from schemas.settings import Kafka
from storage.kafka.counts import LOOK_SECONDS, REMEDY, CountReader

log = structlog.get_logger()


class PartitionCounts:
    """Nothing is committed before the first look, or
    while a topic that the stage writes has another count.
    """

    def __init__(self, settings: Kafka, written: Iterable[str]) -> None:
        self._reader = CountReader(settings)
        self._topics = set(written)
        self._known = False
        self.wrong = ""

    @property
    def trouble(self) -> str:
        """Why nothing may be committed now; empty: it may."""
        if not self._known:
            return "the partition counts of the topics were not read yet"
        return self.wrong and f"{self.wrong}. {REMEDY}"

    def also(self, topic: str) -> None:
        """One more topic that the stage writes: its changelog."""
        self._topics.add(topic)

    async def look(self) -> None:
        """Once. What the brokers do not say now stays as it was.

        A source with too many is not among the trouble: its
        partitions beyond the count are parked, each by itself.
        """
        try:
            found = await asyncio.to_thread(self._reader.wrong, sorted(self._topics))
        except KafkaException:
            return
        wrong = "; ".join(map(str, found))
        if wrong and wrong != self.wrong:
            log.error("partition_counts_wrong", detail=wrong, remedy=REMEDY)
        self.wrong, self._known = wrong, True

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)
