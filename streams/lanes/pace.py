"""Decides how often a lane begins a transaction: often if they are fast, rarely if they are slow.

Pure: time is an argument.
"""

from dataclasses import dataclass

REST = 3.0
"""A lane rests this many times as long as its transactions take.

So it has a transaction open at most a quarter of the time. A transaction costs the
brokers the same for one record as for a thousand, so more of them only slow a busy broker
down. An open one also hides, from read_committed readers, what other lanes wrote to the
same partitions after it.
"""
_LATELY = 8
"""The usual duration is an average over about this many of the last transactions."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The limits of a lane's transactions and batches.

    The gaps are the least and most seconds from the start of one transaction to the
    start of the next. A lane that rested may begin `burst` transactions without a gap.
    """

    gap_seconds: float
    longest_gap_seconds: float = 0.1
    batch_records: int = 2_000
    batch_bytes: int = 32 * 1024 * 1024
    burst: int = 1


BATCH_PACE = Pace(gap_seconds=0.02)
JOB_PACE = Pace(gap_seconds=0.01, burst=3)
"""A job of a lane that rested needs three transactions: its admission, its end, and one to spare.

The spare one is the admission of the next job, or the end of another one.
"""


class Rhythm:
    """Computes when the next transaction of one lane may begin.

    It is a token bucket: each gap earns one transaction, and a lane that rests keeps up
    to `Pace.burst` of them. So a burst does not raise the rate that a lane sustains.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._usual = 0.0
        self._earned = float(pace.burst)
        self._counted_at = 0.0

    @property
    def gap_seconds(self) -> float:
        """The current seconds from the start of one transaction to the next start."""
        longest = max(self._pace.gap_seconds, self._pace.longest_gap_seconds)
        return min(max(self._pace.gap_seconds, (1 + REST) * self._usual), longest)

    def begins(self, now: float) -> None:
        """Notes that a transaction begins, whether it waited for its gap or not."""
        # Transactions that did not wait leave no debt to the next one.
        self._earned = max(0.0, self._earned_by(now) - 1.0)
        self._counted_at = now

    def took(self, seconds: float) -> None:
        """Notes the duration of a transaction that ended.

        It counts as the longest gap at most. Otherwise the lane would stay slow long after
        a very slow transaction.
        """
        self._usual += (min(seconds, self._pace.longest_gap_seconds) - self._usual) / _LATELY

    def left(self, now: float) -> float:
        """The seconds until the next transaction may begin. 0 means now."""
        return max(0.0, (1.0 - self._earned_by(now)) * self.gap_seconds)

    def _earned_by(self, now: float) -> float:
        gap, most = self.gap_seconds, float(self._pace.burst)
        if gap <= 0:
            return most
        return min(most, self._earned + (now - self._counted_at) / gap)
