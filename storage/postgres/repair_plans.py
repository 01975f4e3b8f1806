"""What is said of repairs: which records they are
for, what a plan counted, and the portion at hand.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import msgspec

from schemas.keys import TenantId
from storage.errors import StorageError
from storage.postgres.people import EVERY_TENANT

Kind = Literal["attachments", "quarantine", "raw"]
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
MESSAGES_PER_SECOND = 50.0
"""Unless somebody says otherwise: live traffic comes first."""
LOWEST_RATE = 0.1
"""Between two records of a slower repair its hold would be over."""


class RepairError(StorageError):
    """What was asked for cannot be; the first
    argument is a key of the pages' catalogue.
    """


class RepairLost(StorageError):
    """Somebody else holds the repair: this process was away for too long."""


class RepairChoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which records a repair is for. Of failed
    files only the reason and the limit count.

    `place`: one quarantined record, as topic, partition, offset, and the topic's id if
    it is known. `until`: the newest quarantined record that was counted. `spans`:
    offsets of raw records, as `PARTITION:FIRST-LAST`; where there are none, those that
    arrived from `since` to `until`.
    """

    reason: str = ""
    stage: str = ""
    place: tuple[str, int, int, str | None] | None = None
    since: datetime | None = None
    until: datetime | None = None
    spans: tuple[str, ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """A repair that somebody wants: at a tenant, or at every one (`*`).

    `rate`: records per second, 0 for any.
    """

    tenant_id: TenantId
    kind: Kind
    choice: RepairChoice
    person: str
    rate: float = MESSAGES_PER_SECOND


class PlanLine(msgspec.Struct, frozen=True):
    """A row of a plan. `becomes`: again, set_aside,
    without (file and address), refused or job.

    `messages` of failed files; `place` of one of the quarantined records.
    """

    tenant: str
    reason: str
    what: str
    records: int
    becomes: str = "again"
    messages: int = 0
    place: str = ""


class Counted(msgspec.Struct, frozen=True):
    """What a plan says. `records`: messages or records
    that will be written; `files`: their files by type.

    `is_whole`: all were counted; else there are more. `choice` is the one that was
    asked for, made exact. `answers` of models are recorded for raw records,
    `unpriced` of them without a known price; the others have cost `paid_microusd`.
    """

    records: int
    lines: tuple[PlanLine, ...]
    choice: RepairChoice
    files: dict[str, int] = {}
    microusd: int | None = None
    without: int = 0
    is_whole: bool = True
    answers: int = 0
    unpriced: int = 0
    paid_microusd: int = 0


class Intent(msgspec.Struct, frozen=True):
    """A portion: what identifies its records, and where it leaves the repair.

    `old` are not written, only marked.
    """

    number: int
    items: tuple[tuple[str | int, ...], ...]
    looked: int
    after_at: datetime
    after_key: str
    redone: int = 0
    set_aside: int = 0
    old: tuple[tuple[str | int, ...], ...] = ()


@dataclass(slots=True)
class HeldRepair:
    """A repair in this process's hands, and how far it is."""

    tenant_id: TenantId
    repair_id: str
    kind: Kind
    choice: RepairChoice
    reason: str
    generation: int
    rate: float
    messages: int
    began_at: datetime
    done_at: datetime
    done_key: str
    portion: int
    intent: Intent | None
    looked: int
    redone: int
    set_aside: int
    state: str
    holder: str = field(repr=False, default="")

    @property
    def is_everywhere(self) -> bool:
        return self.tenant_id == EVERY_TENANT
