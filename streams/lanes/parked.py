"""The reasons for which a stage parks one partition and continues with the others.

They concern that partition only, and a restart would not help.
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
    """The reason to park a partition after this error, or None for any other error.

    A partition is parked if another process, or this one after a restart, would get the
    same error again.
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
