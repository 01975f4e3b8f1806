"""How often a lane begins a transaction: soon when they are
quick, seldom when they are slow. Pure: time is an argument.
"""

from dataclasses import dataclass

REST = 3.0
"""A lane rests so many times as long as its transactions
take, so that one is open at most a quarter of the time.

A transaction costs the brokers the same for one record as for a thousand:
a busy broker that is asked for more of them only becomes slower, and each
of them hides what other lanes wrote to the same partitions until it ends.
"""
_LATELY = 8
"""The usual length of a transaction follows about so many of the last ones."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds from the beginning of one transaction to that of
    the next, at least and at most; what one batch may hold.
    """

    gap_seconds: float
    longest_gap_seconds: float = 0.1
    batch_records: int = 2_000
    batch_bytes: int = 32 * 1024 * 1024


class Rhythm:
    """When the next transaction of one lane may begin."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._usual = 0.0
        self._began: float | None = None

    @property
    def gap_seconds(self) -> float:
        """From one beginning to the next, as things are."""
        longest = max(self._pace.gap_seconds, self._pace.longest_gap_seconds)
        return min(max(self._pace.gap_seconds, (1 + REST) * self._usual), longest)

    def begins(self, now: float) -> None:
        """A transaction begins."""
        self._began = now

    def took(self, seconds: float) -> None:
        """It ended. One that took very long counts as the
        longest gap, or the lane would be slow long after it.
        """
        self._usual += (min(seconds, self._pace.longest_gap_seconds) - self._usual) / _LATELY

    def left(self, now: float) -> float:
        """Seconds until the next may begin; 0 for a
        lane that had nothing to do for that long.
        """
        return 0.0 if self._began is None else max(0.0, self._began + self.gap_seconds - now)
