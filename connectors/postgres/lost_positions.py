"""Positions of the sink from which the log cannot be read. Their partitions are parked.

If the sink continued elsewhere by itself, it would leave records out or write some twice.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from connectors.postgres.held_partitions import Partition, log_parked
from schemas.parked import Parked

PARKED_SECONDS = 60.0
"""The wait before a parked partition is looked at again."""
BEYOND_SECONDS = 10.0
"""How long a position may be beyond the end before its partition is parked.

A newly elected leader may report too low an end for a moment.
"""
_REMEDY = (
    "To continue, set next_offset in sink_offsets: docs/operating.md, 'A position that "
    "the log does not have'. If Kafka was lost: sensorium recover kafka"
)


class PositionInLog(NamedTuple):
    """A position in Postgres beside the first offset and the end of its partition.

    `lost_end` is where the log ended when it was found to end before the position.
    """

    next_offset: int
    lost_end: int | None
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a partition cannot be continued.

    `end` is to be stored with its position, which stays unusable when the log has grown
    past it: the records before it would be left out.
    """

    detail: str
    end: int | None


class LostPositions:
    """The partitions of this sink that are parked because of their positions."""

    def __init__(self) -> None:
        self.parked: dict[Partition, Parked] = {}
        self._again_at: dict[Partition, float] = {}
        self._beyond_since: dict[Partition, float] = {}
        self._answers: dict[Partition, str] = {}

    def refused(self, partition: Partition, answer: str) -> None:
        """Notes that the brokers have no records at the position, and what they answered."""
        self._answers[partition] = answer

    def is_unsettled(self, partition: Partition, place: PositionInLog) -> bool:
        """True while a position that seems to be beyond the end is looked at again."""
        if place.next_offset <= place.high or place.lost_end is not None:
            self._beyond_since.pop(partition, None)
            return False
        since = self._beyond_since.setdefault(partition, time.monotonic())
        return partition not in self._answers and time.monotonic() - since < BEYOND_SECONDS

    def loss(self, partition: Partition, place: PositionInLog, *, may_expire: bool) -> Loss | None:
        """The loss, or None if the partition can be continued.

        `may_expire` says that the topic deletes records by age. In such a topic, records
        that are gone are skipped, because an idle partition looks the same.
        """
        at, _, low, high = place
        answer = self._answers.get(partition)
        if place.lost_end is not None:
            return Loss(f"the log ended at {place.lost_end}, before position {at}", None)
        if at > high:
            return Loss(f"the log ends at {high}, before position {at}", high)
        if 0 <= at < low:
            return (
                None if may_expire else Loss(f"the log begins at {low}, after position {at}", None)
            )
        if answer is not None:
            return Loss(f"the log changed before position {at}: {answer}", at - 1)
        return None

    def park(self, partition: Partition, loss: Loss) -> None:
        """Parks the partition, and logs that once."""
        self._again_at[partition] = time.monotonic() + PARKED_SECONDS
        self._beyond_since.pop(partition, None)
        if partition not in self.parked:
            self.parked[partition] = Parked("offset_lost", f"{loss.detail}. {_REMEDY}")
            log_parked(partition, self.parked[partition])

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Forgets partitions that can be continued, or that another sink has now."""
        for partition in partitions:
            for known in (self.parked, self._again_at, self._beyond_since, self._answers):
                known.pop(partition, None)

    def due(self) -> list[Partition]:
        """The parked partitions to look at again now."""
        now = time.monotonic()
        return [partition for partition, at in self._again_at.items() if at <= now]
