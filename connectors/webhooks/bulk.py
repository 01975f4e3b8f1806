"""Decides which tenant has to slow down while dedupe is behind.

One tenant's import must not keep the messages of the others waiting. Records of a
partition are processed one after another, whoever sent them, so a tenant can only be
held back before its records are accepted. Pure: time is an argument.
"""

from collections import Counter

from connectors.webhooks.rate import Rates

FREE_PER_SECOND = 20.0
"""A tenant that sends less is never slowed down."""
START_PER_SECOND = 100.0
"""What a tenant may send per second, without having sent as much before.

From there on its rate rises as it uses it.
"""
WATCH_PER_SECOND = 50.0
"""With less than that in all, nobody looks how far behind dedupe is."""
BURST = 200.0
"""What a tenant that was not slowed down may send at once.

A greeting to each of its customers is not an import.
"""
SLOWER, FASTER = 0.6, 1.1
DEEP_SECONDS = 0.25
BULK_PART = 0.5
"""A tenant sends in bulk that sends at least this part of what the largest sends."""


class BulkLimits:
    """Holds a rate per tenant, raised while it is used and lowered while dedupe is behind.

    It has to rise step by step: a tenant that could begin with any rate
    would have put a minute of work before the others' messages until anybody
    noticed. It ends near what dedupe does with what the others leave.
    """

    def __init__(self, behind_seconds: float) -> None:
        self._behind_seconds = behind_seconds
        self._rates = Rates()
        self._taken: Counter[str] = Counter()
        self._wanted: Counter[str] = Counter()
        self._looked_at: float | None = None
        self.limits: dict[str, float] = {}

    def wait_seconds(self, tenant: str, now: float) -> float:
        """0: take the tenant's next record.

        Else how long until there is room for it.
        """
        self._wanted[tenant] += 1
        limit = self.limits.get(tenant, START_PER_SECOND)
        deep_seconds = max(DEEP_SECONDS, BURST / limit if limit >= START_PER_SECOND else 0.0)
        wait = self._rates.wait_seconds(tenant, limit, now, deep_seconds)
        if not wait:
            self._taken[tenant] += 1
        return wait

    def is_worth_a_look(self, now: float) -> bool:
        """Whether enough comes in that somebody's rate may have to change."""
        seconds = max(0.01, now - (self._looked_at or 0.0))
        return bool(self.limits) or self._wanted.total() / seconds >= WATCH_PER_SECOND

    def look(self, behind_seconds: float, now: float) -> None:
        """Adjusts the rates to the time that dedupe needs for what it has not read yet."""
        seconds = max(0.01, now - (self._looked_at if self._looked_at is not None else now - 1.0))
        taken = {tenant: count / seconds for tenant, count in self._taken.items()}
        wanted = {tenant: count / seconds for tenant, count in self._wanted.items()}
        self._taken.clear()
        self._wanted.clear()
        self._looked_at = now
        if behind_seconds > self._behind_seconds:
            self._slow_down(taken)
            return
        for tenant in self.limits.keys() | wanted.keys():
            limit = self.limits.get(tenant, START_PER_SECOND)
            is_used = wanted.get(tenant, 0.0) > limit / 2
            self.limits[tenant] = limit * FASTER if is_used else limit / FASTER
            if not is_used and self.limits[tenant] <= START_PER_SECOND:
                del self.limits[tenant]

    def _slow_down(self, taken: dict[str, float]) -> None:
        largest = max(taken.values(), default=0.0)
        for tenant, rate in taken.items():
            if rate > FREE_PER_SECOND and rate >= BULK_PART * largest:
                limit = min(rate, self.limits.get(tenant, START_PER_SECOND))
                self.limits[tenant] = max(FREE_PER_SECOND, limit * SLOWER)
