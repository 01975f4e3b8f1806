"""Decides which tenant has to slow down while dedupe is behind.

The import of one tenant must not delay the messages of the others. A partition's records
are processed in order, whichever tenant sent them, so a tenant can only be slowed down
before its records are accepted. Pure: time is an argument.
"""

from collections import Counter

from connectors.webhooks.rate import Rates

FREE_PER_SECOND = 20.0
"""A tenant that sends less is never slowed down."""
START_PER_SECOND = 100.0
"""The rate limit, in records per second, with which a tenant starts.

It rises while it is used.
"""
WATCH_PER_SECOND = 50.0
"""The lag of dedupe is measured if all tenants together send this much, or one has a limit."""
BURST = 200.0
"""The records that a tenant may send at once, unless it was slowed down.

A tenant may greet all its customers at once, which is not an import.
"""
SLOWER, FASTER = 0.6, 1.1
DEEP_SECONDS = 0.25
BULK_PART = 0.5
"""A tenant is slowed down only if its rate is at least this fraction of the highest rate."""


class BulkLimits:
    """Keeps a rate limit per tenant, raised while it is used and lowered while dedupe is behind.

    The limit rises step by step. A tenant that could start at any rate would queue a minute
    of work before the other tenants' messages until the lag was noticed. The limit ends
    near the capacity of dedupe that the other tenants leave.
    """

    def __init__(self, behind_seconds: float) -> None:
        self._behind_seconds = behind_seconds
        self._rates = Rates()
        self._accepted: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._looked_at: float | None = None
        self.limits: dict[str, float] = {}

    def wait_seconds(self, tenant: str, now: float) -> float:
        """The seconds until the tenant may send its next record, or 0 if it may now."""
        self._requests[tenant] += 1
        limit = self.limits.get(tenant, START_PER_SECOND)
        deep_seconds = max(DEEP_SECONDS, BURST / limit if limit >= START_PER_SECOND else 0.0)
        wait = self._rates.wait_seconds(tenant, limit, now, deep_seconds)
        if not wait:
            self._accepted[tenant] += 1
        return wait

    def is_worth_a_look(self, now: float) -> bool:
        """True if a rate limit exists or enough records arrive that one may be needed."""
        seconds = max(0.01, now - (self._looked_at or 0.0))
        return bool(self.limits) or self._requests.total() / seconds >= WATCH_PER_SECOND

    def look(self, behind_seconds: float, now: float) -> None:
        """Adjusts the limits to the seconds that dedupe needs for the records it has not read."""
        seconds = max(0.01, now - (self._looked_at if self._looked_at is not None else now - 1.0))
        accepted_rates = {tenant: count / seconds for tenant, count in self._accepted.items()}
        request_rates = {tenant: count / seconds for tenant, count in self._requests.items()}
        self._accepted.clear()
        self._requests.clear()
        self._looked_at = now
        if behind_seconds > self._behind_seconds:
            self._slow_down(accepted_rates)
            return
        for tenant in self.limits.keys() | request_rates.keys():
            limit = self.limits.get(tenant, START_PER_SECOND)
            is_used = request_rates.get(tenant, 0.0) > limit / 2
            self.limits[tenant] = limit * FASTER if is_used else limit / FASTER
            if not is_used and self.limits[tenant] <= START_PER_SECOND:
                del self.limits[tenant]

    def _slow_down(self, accepted_rates: dict[str, float]) -> None:
        largest = max(accepted_rates.values(), default=0.0)
        for tenant, rate in accepted_rates.items():
            if rate > FREE_PER_SECOND and rate >= BULK_PART * largest:
                limit = min(rate, self.limits.get(tenant, START_PER_SECOND))
                self.limits[tenant] = max(FREE_PER_SECOND, limit * SLOWER)
