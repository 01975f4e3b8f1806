"""Compares the partition counts on the cluster with the configured one.

A count that is changed in place breaks promises: keys move to other partitions, and a
partition beyond the count has neither state nor a reader.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.settings import Kafka
from storage.errors import StorageError
from storage.kafka.reconnection import metadata_within, renewed_admin

LOOK_SECONDS = 5.0
"""The interval between two checks.

Nothing is written to an added partition meanwhile, because a record's partition is
computed from the settings (`key_partition` and `conversation_partition`).
"""
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class WrongCount:
    """A topic that has `there` partitions although the settings say `expected`."""

    topic: str
    there: int
    expected: int

    def __str__(self) -> str:
        return (
            f"{self.topic} has {self.there} partitions, SENSORIUM_KAFKA__PARTITIONS is"
            f" {self.expected}"
        )


REMEDY = (
    "Correct the setting of this process. If the count was changed in place, nothing more "
    "is written: docs/operating.md, 'Another number of partitions'"
)


class WrongCounts(StorageError):
    """Topics have other partition counts than the settings say.

    A process that continued would read or write only a part of the partitions, or put
    keys into other partitions than before. The text names the topics and says what to do.
    """

    def __init__(self, wrong: Iterable[WrongCount]) -> None:
        super().__init__(f"{'; '.join(map(str, wrong))}. {REMEDY}")


def wrong_counts(
    there: Mapping[str, int], topics: Iterable[str], settings: Kafka
) -> list[WrongCount]:
    """The topics that exist with another partition count than the settings say."""
    return [
        WrongCount(topic, there[topic], settings.partitions)
        for topic in topics
        if there.get(topic, settings.partitions) != settings.partitions
    ]


class CountReader:
    """Reads the counts with a client of its own, which is replaced after a failure. Calls block."""

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._admin = renewed_admin(settings)

    def wrong(self, topics: Iterable[str]) -> list[WrongCount]:
        """Raises KafkaException if the brokers do not answer."""
        found = self._admin.call(metadata_within(_TIMEOUT_SECONDS)).topics
        there = {name: len(topic.partitions) for name, topic in found.items() if topic.partitions}
        return wrong_counts(there, topics, self._settings)

    def require(self, topics: Iterable[str]) -> None:
        """Raises WrongCounts, or KafkaException if the brokers do not answer."""
        if wrong := self.wrong(topics):
            raise WrongCounts(wrong)
