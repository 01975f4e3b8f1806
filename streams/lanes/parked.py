"""Partitions that are parked for a reason of their own.

A restart would not help, and the other partitions do not have the same trouble.
"""

import time
from dataclasses import dataclass, field
from typing import Literal, get_args

from schemas.versions import UnknownVersion
from streams.lanes.transactions import OffsetLost, OffsetMissing, PartitionMissing

ParkedReason = Literal["version_unknown", "offset_missing", "offset_lost", "partition_count"]
PARKED_REASONS: tuple[ParkedReason, ...] = get_args(ParkedReason)


_OF_ONE_PARTITION: dict[type[BaseException], ParkedReason] = {
    OffsetMissing: "offset_missing",
    OffsetLost: "offset_lost",
    UnknownVersion: "version_unknown",
    PartitionMissing: "partition_count",
}


def parked_reason(error: BaseException) -> ParkedReason | None:
    """The reason to park a partition after this error, or None if it is no such error.

    Another process, or this one after a restart, would get the same error again.
    """
    return _OF_ONE_PARTITION.get(type(error))


@dataclass(frozen=True, slots=True)
class Parked:
    """Why a partition is not processed. `detail` tells a person what to do."""

    reason: ParkedReason
    detail: str
    since: float = field(default_factory=time.time)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
