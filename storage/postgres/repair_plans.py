"""The values of repairs: chosen records, a plan's counts, the current portion."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import msgspec

from schemas.keys import TenantId
from storage.errors import StorageError
from storage.postgres.people import EVERY_TENANT

RepairKind = Literal["attachments", "quarantine", "raw"]
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
MESSAGES_PER_SECOND = 50.0
"""The default rate. It is low because live traffic comes first."""
LOWEST_RATE = 0.1
"""The lowest rate. With a lower one, the hold of a repair would end between two records."""


GONE_REASONS = frozenset({"media_gone"})
"""The provider answered that the file is gone. Asking again can only help if something
else has changed, such as the endpoint's API key, so a repair leaves such files out
unless it is told to try them.

A missing or forbidden file is not of this kind: later, or with another key, a provider
may give it.
"""


WRONG_COUNTS = "wrong_counts"
"""The trouble of a repair that waits because of the partition counts of the topics."""


class RepairError(StorageError):
    """The request cannot be carried out.

    The first argument is a key of the pages' message catalogue.
    """


class ReadByNobody(RepairError):
    """Dedupe of this set of topics does not run, and that of another set does.

    `own` and `instead` are the names of the two sets, `environment` has the settings
    that name the one in use.
    """

    def __init__(self, own: str, instead: str, environment: str) -> None:
        super().__init__("repair.read_by_nobody")
        self.own, self.instead, self.environment = own, instead, environment


class RepairLost(StorageError):
    """Another process holds the repair now, because this one was away for too long."""


class RepairChoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Selects the records that a repair covers.

    For failed files only the reason, the limit and `with_gone` are used. `limit` is the
    most messages that are tried; what is left out does not count. `with_gone` tries also
    files that the provider says are gone. `place` is one quarantined record: topic,
    partition, offset, and the topic's id if known. `until` is the newest quarantined record
    that was counted. `spans` are offsets of raw records, as `PARTITION:FIRST-LAST`. Without
    them, a repair covers the raw records that arrived from `since` to `until`.
    """

    reason: str = ""
    stage: str = ""
    place: tuple[str, int, int, str | None] | None = None
    since: datetime | None = None
    until: datetime | None = None
    spans: tuple[str, ...] = ()
    limit: int = 0
    with_gone: bool = False

    @property
    def leaves_gone(self) -> bool:
        """True if the repair leaves out files that the provider no longer has."""
        return self.reason in GONE_REASONS and not self.with_gone


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """A requested repair for one tenant, or for all (`*`).

    `rate` is in records per second. 0 means no limit.
    """

    tenant_id: TenantId
    kind: RepairKind
    choice: RepairChoice
    person: str
    rate: float = MESSAGES_PER_SECOND


class PlanLine(msgspec.Struct, frozen=True):
    """A row of a plan.

    `becomes` is again (written again), set_aside (tried three times), without (the file
    has no address), gone (the provider no longer has the file), refused (its stage
    cannot be replayed) or job (`replay attachments` opens its message again).
    `messages` counts the messages of failed files; `place` is that of one of the
    quarantined records.
    """

    tenant: str
    reason: str
    what: str
    records: int
    becomes: str = "again"
    messages: int = 0
    place: str = ""


class Counted(msgspec.Struct, frozen=True):
    """The result of planning a repair.

    `records` counts the messages or records to be written again, and `files` their files
    by type. If `is_whole` is False, there are more than were counted. `choice` is the
    requested one with exact limits. For raw records, `answers` counts their recorded model
    answers, `unpriced` counts those without a known price, and `paid_microusd` is the cost
    of the others. If `is_cost_whole` is False, these three are about the first messages only.
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
    is_cost_whole: bool = True

    @property
    def gone(self) -> int:
        """The files that are left out because the provider no longer has them."""
        return sum(line.records for line in self.lines if line.becomes == "gone")


class Intent(msgspec.Struct, frozen=True):
    """A portion: the ids of its records, and the position of the repair after it.

    Records in `old` are only marked, not written.
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
    """A repair that this process holds, with its progress."""

    tenant_id: TenantId
    repair_id: str
    kind: RepairKind
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
