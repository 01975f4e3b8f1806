"""Partitions of the sink in which a record stands that a newer
program wrote: nothing after it is read before the upgrade.
"""

import structlog

from schemas.versions import UnknownVersion

log = structlog.get_logger()
Partition = tuple[str, int]


class HeldPartitions:
    """Of one assignment.

    Each is held from one offset on, where its position in Postgres stays.
    """

    def __init__(self) -> None:
        self._from: dict[Partition, int] = {}
        self._detail: dict[Partition, str] = {}

    def hold(self, partition: Partition, offset: int, newer: UnknownVersion) -> None:
        self._from[partition] = offset
        self._detail[partition] = str(newer)
        log.error(
            "partition_parked",
            stage="sink",
            source=partition[0],
            partition=partition[1],
            reason="version_unknown",
            detail=f"offset {offset}: {newer}",
        )

    def holds(self, partition: Partition) -> bool:
        """Whether nothing more of it is to be stored.

        Records come in order, so none from before its offset is left.
        """
        return partition in self._from

    def troubles(self) -> list[str]:
        """One line for a person for each."""
        return [
            f"partition {topic}[{number}] is parked, version_unknown: offset {self._from[topic, number]}: {detail}"
            for (topic, number), detail in sorted(self._detail.items())
        ]

    def __len__(self) -> int:
        return len(self._from)
