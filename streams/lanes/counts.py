"""Checks that the topics of a stage have as many partitions as the settings name.

Checks at the start and while the stage runs.
"""

import asyncio
from collections.abc import Iterable

import structlog
from confluent_kafka import KafkaException

from schemas.settings import Kafka
from storage.kafka.counts import LOOK_SECONDS, REMEDY, CountReader

log = structlog.get_logger()


class PartitionCounts:
    """Checks the partition counts of the topics that a stage writes.

    Nothing is committed before the first check, or while a topic has another count.
    """

    def __init__(self, settings: Kafka, written: Iterable[str]) -> None:
        self._reader = CountReader(settings)
        self._topics = set(written)
        self._known = False
        self.wrong = ""

    @property
    def trouble(self) -> str:
        """Why nothing may be committed now, or an empty string."""
        if not self._known:
            return "the partition counts of the topics were not read yet"
        return self.wrong and f"{self.wrong}. {REMEDY}"

    def also(self, topic: str) -> None:
        """Adds a topic that the stage writes: its changelog."""
        self._topics.add(topic)

    async def look(self) -> None:
        """Checks once. If the brokers do not answer, the last result stays.

        Too many partitions of the source are not reported here, because each partition
        beyond the count is parked separately.
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
        """Checks repeatedly until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)
