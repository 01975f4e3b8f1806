"""When too much of what a stage reads would go to quarantine, the stage is wrong, not the records. Pure: time is an argument."""

from collections import OrderedDict, deque

from schemas.settings import Breaker as Limits

HEARD_SECONDS = 600.0
MAX_TENANTS = 1_000


class _Recent:
    """A tenant's last records: True for a quarantined one."""

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


class Breaker:
    """Judges tenant by tenant: one that sends rubbish stops nobody, a bad deploy hits all.

    A tenant fails when `consecutive` of its records in a row were refused, or `ratio` of its last ones. The stage is wrong when
    tenants that fail, or whose last record was refused, are more than those whose last record was good.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tenants: OrderedDict[bytes, _Recent] = OrderedDict()

    def add(self, tenant: bytes, is_quarantined: bool, now: float) -> None:
        recent = self._tenants.get(tenant)
        if recent is None:
            recent = self._tenants[tenant] = _Recent(self._limits.window_records)
            if len(self._tenants) > MAX_TENANTS:
                self._tenants.popitem(last=False)
        recent.add(is_quarantined, now)

    def trouble(self, now: float) -> str | None:
        """Why the stage should stop, for a person; None: it should not."""
        heard = [recent for recent in self._tenants.values() if now - recent.at <= HEARD_SECONDS]
        failing = sum(self._fails(recent) for recent in heard)
        suspicious = sum(recent.in_a_row > 0 and not self._fails(recent) for recent in heard)
        if not failing or failing + suspicious <= len(heard) - failing - suspicious:
            return None
        worst = max(heard, key=lambda recent: recent.bad)
        return f"{failing} of {len(heard)} tenants: {worst.bad} of the last {len(worst.last)} records of one of them would be quarantined"

    def forget(self) -> None:
        """From here on only what comes counts."""
        self._tenants.clear()

    def _fails(self, recent: _Recent) -> bool:
        limits = self._limits
        if limits.consecutive and recent.in_a_row >= limits.consecutive:
            return True
        return bool(limits.consecutive) and len(recent.last) >= limits.consecutive and recent.bad >= limits.ratio * len(recent.last)
