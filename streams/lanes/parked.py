"""The errors after which a stage parks one partition and continues with the others."""

from schemas.parked import ParkedReason
from schemas.versions import UnknownVersion
from streams.lanes.transactions import OffsetLost, OffsetMissing, PartitionMissing

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
