"""Detects that a stage itself is wrong, because it would quarantine too many records.

Pure: time is an argument.
"""

from collections import deque
from dataclasses import dataclass
from zlib import crc32

from schemas.reasons import QuarantineReason
from schemas.settings import BreakerSettings as Limits

EARNED_BY_THE_BODY: frozenset[QuarantineReason] = frozenset(
    {
        "not_json",
        "not_an_object",
        "event_missing",
        "payload_missing",
        "identifier_missing",
        "conversation_missing",
        "field_invalid",
        "record_too_large",
    }
)
"""The reasons that a sender can cause with a body of its choice, at any rate.

They say nothing about the program and are not counted. `identifier_mismatch` and
`provider_unknown` are counted: with them, two releases of the program disagree.
"""

HEARD_SECONDS = 600.0
OWN_TENANTS = 256
SHARED = 64
"""The number of places that tenants beyond the first OWN_TENANTS share.

There are few, so that each place soon has enough records to be judged. No tenant is
evicted for another: it would start from zero each time, and with many tenants none would
ever fail.
"""


class _Recent:
    """The last records of a tenant or shared place. True means quarantined."""

    __slots__ = ("at", "bad", "in_a_row", "last")

    def __init__(self, window: int) -> None:
        self.last: deque[bool] = deque(maxlen=window)
        self.bad = 0
        self.in_a_row = 0
        self.at = 0.0

    def add(self, is_bad: bool, now: float) -> None:
        if len(self.last) == self.last.maxlen:
            self.bad -= self.last[0]
        self.last.append(is_bad)
        self.bad += is_bad
        self.in_a_row = self.in_a_row + 1 if is_bad else 0
        self.at = now


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the breaker trips. `detail` is text for a person.

    `tenant` is set if the records of this one tenant are refused and no other tenant sent
    records lately. It is the number of a shared place if the tenant has none of its own.
    """

    detail: str
    tenant: bytes | int | None = None


class Breaker:
    """Judges per tenant whether a stage is wrong.

    A faulty release refuses the records of all tenants, while hostile records come from
    one. A tenant fails if `consecutive` of its records in a row were refused, or the
    share `ratio` of its last records. The stage is wrong if both of these hold:

    1. A tenant fails, or `consecutive` records in a row were refused, from any tenants
       (with many tenants, each has few records).
    2. The tenants that fail or whose last record was refused, minus one, outnumber those
       whose last record was good. So one tenant alone never condemns the stage.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tenants: dict[bytes | int, _Recent] = {}
        self._in_a_row = 0

    def add(self, tenant: bytes, is_quarantined: bool, now: float) -> None:
        place = self._place(tenant)
        recent = self._tenants.get(place)
        if recent is None:
            recent = self._tenants[place] = _Recent(self._limits.window_records)
        recent.add(is_quarantined, now)
        self._in_a_row = self._in_a_row + 1 if is_quarantined else 0

    def trouble(self, now: float) -> Trouble | None:
        """Why the stage should not continue, or None if it should."""
        tenants = [recent for recent in self._tenants.values() if now - recent.at <= HEARD_SECONDS]
        failing = sum(self._fails(recent) for recent in tenants)
        suspicious = sum(recent.in_a_row > 0 and not self._fails(recent) for recent in tenants)
        refused = failing + suspicious
        good = len(tenants) - refused
        if not (failing or self._fails_for_all()):
            return None
        worst = max(tenants, key=lambda recent: recent.bad)
        says = (
            f"{worst.bad} of the last {len(worst.last)} records of one of them would be quarantined"
        )
        if refused == 1 and not good:
            return Trouble(f"the only tenant with recent records: {says}", self._place_of(worst))
        if refused - 1 <= good:
            return None
        if not failing:
            return Trouble(
                f"the last {self._in_a_row} records would be quarantined, whichever "
                "tenant sent them"
            )
        return Trouble(f"{failing} of {len(tenants)} tenants: {says}")

    def fails(self, tenant: bytes | int) -> bool:
        """True if the records of the tenant that `trouble` named still fail."""
        recent = self._tenants.get(tenant)
        return recent is not None and self._fails(recent)

    def forget(self) -> None:
        """Forgets all records, so that only later ones count."""
        self._tenants.clear()
        self._in_a_row = 0

    def _place_of(self, recent: _Recent) -> bytes | int:
        return next(place for place, known in self._tenants.items() if known is recent)

    def _place(self, tenant: bytes) -> bytes | int:
        if tenant in self._tenants or len(self._tenants) < OWN_TENANTS:
            return tenant
        return crc32(tenant) % SHARED

    def _fails_for_all(self) -> bool:
        return 0 < self._limits.consecutive <= self._in_a_row

    def _fails(self, recent: _Recent) -> bool:
        limits = self._limits
        if limits.consecutive and recent.in_a_row >= limits.consecutive:
            return True
        return (
            bool(limits.consecutive)
            and len(recent.last) >= limits.consecutive
            and recent.bad >= limits.ratio * len(recent.last)
        )
