"""What a run left behind, as plain values: the oracle looks at nothing else."""

from dataclasses import dataclass
from typing import NamedTuple

from tests.chaos.book import Accepted


@dataclass(frozen=True)
class File:
    """An attachment as a row tells of it."""

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
    """A record of enriched-messages that a read_committed reader sees, in the order of its partition."""

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
    """A model call that was given an answer. `stage`: which asked; `key`: whose. Unix seconds."""

    stage: str
    key: str
    began: float
    ended: float


class Disturbance(NamedTuple):
    """When a role's work in flight was thrown away: a worker died, or its partitions moved. Unix seconds."""

    role: str
    at: float


@dataclass(frozen=True)
class Facts:
    """`degraded_allowed`: the fault outlasts the retries."""

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
