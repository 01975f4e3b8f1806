"""The reasons for which a stage or the sink parks one partition and continues with the others.

They concern that partition only, and a restart would not help.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from schemas import metrics

ParkedReason = Literal["version_unknown", "offset_missing", "offset_lost", "partition_count"]
PARKED_REASONS: tuple[ParkedReason, ...] = get_args(ParkedReason)


@dataclass(frozen=True, slots=True)
class Parked:
    """Why a partition is not processed. `detail` tells a person what to do."""

    reason: ParkedReason
    detail: str
    since: float = field(default_factory=time.time)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def show_parked(stage: str, parked: Iterable[Parked]) -> None:
    """Sets the gauge of every reason. `stage` is a stage or `sink`."""
    reasons = Counter(one.reason for one in parked)
    for reason in PARKED_REASONS:
        metrics.STAGE_PARKED.labels(stage, reason).set(reasons[reason])
