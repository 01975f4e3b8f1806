"""Partition counts as they are on the cluster, against the one the settings
name. A count that was changed in place breaks promises: keys move to other
partitions, and a partition beyond the count has neither state nor a reader.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.settings import Kafka
from storage.kafka.contact import renewed_admin

LOOK_SECONDS = 5.0
"""Between two looks.

Less than `topic.metadata.refresh.interval.ms` (300
s), after which a producer learns of a new partition.
"""
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class WrongCount:
    """A topic that has `there` partitions where the settings say `wanted`."""

    topic: str
    there: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.topic} has {self.there} partitions, SENSORIUM_KAFKA__PARTITIONS is {self.wanted}"


REMEDY = (
    "Give this role the right setting; if the count was changed in place, nothing more is written: "
    "docs/operating.md, 'Another number of partitions'"
)


def wrong_counts(
    there: Mapping[str, int], topics: Iterable[str], settings: Kafka
) -> list[WrongCount]:
    """Those of the topics that exist with another count.

    One that does not exist is not wrong.
    """
    return [
        WrongCount(topic, there[topic], settings.partitions)
        for topic in topics
        if there.get(topic, settings.partitions) != settings.partitions
    ]


class CountReader:
    """Asks with a client of its own: a producer must not learn
    of new partitions because somebody looked. Calls block.
    """

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._admin = renewed_admin(settings)

    def wrong(self, topics: Iterable[str]) -> list[WrongCount]:
        """Raises KafkaException when the brokers do not answer."""
        found = self._admin.call(lambda admin: admin.list_topics(timeout=_TIMEOUT_SECONDS)).topics
        there = {name: len(topic.partitions) for name, topic in found.items() if topic.partitions}
        return wrong_counts(there, topics, self._settings)
