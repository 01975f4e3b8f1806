"""Partitions of the sink with a record that a newer program wrote.

Nothing after it is read before this program is upgraded.
"""

import structlog

from schemas.versions import UnknownVersion

log = structlog.get_logger()
Partition = tuple[str, int]
"""Topic and partition."""


class HeldPartitions:
    """The held partitions of one assignment.

    Each is held from one offset, at which its position in Postgres stays.
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
        """True if no further record of the partition may be stored.

        Records come in order, so none from before the held offset is missing.
        """
        return partition in self._from

    def troubles(self) -> list[str]:
        """One line for a person per partition."""
        return [
            f"partition {topic}[{number}] is parked (version_unknown) from offset "
            f"{self._from[topic, number]} on: {detail}"
            for (topic, number), detail in sorted(self._detail.items())
        ]

    def __len__(self) -> int:
        return len(self._from)
