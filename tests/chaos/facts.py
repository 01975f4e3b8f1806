"""The state after a run, as plain values. The oracle uses nothing else."""

from dataclasses import dataclass
from typing import NamedTuple

from tests.chaos.book import Accepted


@dataclass(frozen=True)
class File:
    """An attachment as its row shows it."""

    index: int
    status: str
    reason: str | None = None
    url: str | None = None
    said: str | None = None


@dataclass(frozen=True)
class Row:
    tenant: str
    key: str
    version: int
    status: str
    files: tuple[File, ...] = ()
    content: str | None = None


@dataclass(frozen=True)
class Version:
    """A record of enriched-messages as a read_committed reader sees it, in partition order."""

    tenant: str
    key: str
    version: int
    partition: int
    offset: int


@dataclass(frozen=True)
class Refused:
    """A row of quarantined_messages."""

    tenant: str
    key: str
    stage: str
    reason: str


@dataclass(frozen=True)
class Stored:
    """A row of media_objects."""

    tenant: str
    key: str
    object_key: str


@dataclass(frozen=True)
class PaidCall:
    """A model call that was answered.

    `stage` is the stage that asked, `key` the key it used. Times are Unix seconds.
    """

    stage: str
    key: str
    began: float
    ended: float


class Disturbance(NamedTuple):
    """A moment (Unix seconds) at which a role's work in flight was lost.

    A worker died, or its partitions moved.
    """

    role: str
    at: float


@dataclass(frozen=True)
class Facts:
    """Everything that the oracle judges.

    `degraded_allowed` says that the fault lasts longer than the retries.
    """

    accepted: tuple[Accepted, ...] = ()
    ambiguous: frozenset[str] = frozenset()
    rows: tuple[Row, ...] = ()
    versions: tuple[Version, ...] = ()
    quarantined: tuple[Refused, ...] = ()
    stored: tuple[Stored, ...] = ()
    objects: frozenset[str] = frozenset()
    paid: tuple[PaidCall, ...] = ()
    disturbed: tuple[Disturbance, ...] = ()
    degraded_allowed: bool = False
    audit: dict[str, int] | None = None
