"""Limits the requests per second of each tenant. Pure: time is an argument."""

from collections import OrderedDict

MAX_BUCKETS = 100_000


class Rates:
    """One token bucket per name. Its depth is given in seconds, and is at least one request."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(
        self, name: str, per_second: float, now: float, deep_seconds: float = 1.0
    ) -> float:
        """Takes one request and returns 0, or returns the seconds until one is allowed.

        A rate of 0 means no limit.
        """
        if per_second <= 0:
            return 0.0
        deep = max(1.0, per_second * deep_seconds)
        left, at = self._buckets.pop(name, (deep, now))
        left = min(deep, left + (now - at) * per_second)
        if left >= 1.0:
            self._buckets[name] = (left - 1.0, now)
            wait = 0.0
        else:
            self._buckets[name] = (left, now)
            wait = (1.0 - left) / per_second
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return wait
