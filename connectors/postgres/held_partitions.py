"""Partitions of the sink with a record that a newer program wrote.

Nothing after it is read before this program is upgraded.
"""

import structlog

from schemas.parked import Parked
from schemas.versions import UnknownVersion

log = structlog.get_logger()
Partition = tuple[str, int]
"""Topic and partition."""


class HeldPartitions:
    """The held partitions of one assignment.

    Each is held from one offset, at which its position in Postgres stays.
    """

    def __init__(self) -> None:
        self._parked: dict[Partition, Parked] = {}

    def hold(self, partition: Partition, offset: int, newer: UnknownVersion) -> None:
        self._parked[partition] = Parked("version_unknown", f"offset {offset}: {newer}")
        log_parked(partition, self._parked[partition])

    def holds(self, partition: Partition) -> bool:
        """True if no further record of the partition may be stored.

        Records come in order, so none from before the held offset is missing.
        """
        return partition in self._parked

    @property
    def parked(self) -> dict[Partition, Parked]:
        """The held partitions with their reasons."""
        return dict(self._parked)

    def __len__(self) -> int:
        return len(self._parked)


def log_parked(partition: Partition, why: Parked) -> None:
    """Logs that the sink parks the partition, as a stage does."""
    log.error(
        "partition_parked",
        stage="sink",
        source=partition[0],
        partition=partition[1],
        reason=why.reason,
        detail=why.detail,
    )
