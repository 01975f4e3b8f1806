"""A partition that stands still because of itself: a restart
would not help it, and its trouble is not the others'.
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
    """What is the trouble of one partition: another process, or
    this one after a restart, would meet it again. None: it is not.
    """
    return _OF_ONE_PARTITION.get(type(error))


@dataclass(frozen=True, slots=True)
class Parked:
    """Why a partition is not worked on. `detail` tells a person what to do."""

    reason: ParkedReason
    detail: str
    since: float = field(default_factory=time.time)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
