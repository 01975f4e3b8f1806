"""Two small values for waiting: a deadline, and the pauses between retries."""

import math
import time
from dataclasses import dataclass


class Deadline:
    """A moment on the monotonic clock that several waits can share."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @property
    def has_passed(self) -> bool:
        return time.monotonic() >= self._at

    @property
    def left(self) -> float:
        """The seconds left, or 0 once it has passed."""
        return max(0.0, self._at - time.monotonic())


@dataclass(slots=True)
class BackOff:
    """Pauses that double from `first` to `longest` seconds, until `reset`."""

    first: float
    longest: float
    _next: float = 0.0

    def pause(self) -> float:
        """The seconds to wait before the next try.

        Each call makes the next pause longer.
        """
        pause = self._next or self.first
        self._next = min(self.longest, 2 * pause)
        return pause

    def pause_after(self, pauses: int) -> float:
        """The pause after this many others, for a count that is kept elsewhere."""
        doublings = min(pauses, math.ceil(math.log2(self.longest / self.first)))
        return min(self.longest, math.ldexp(self.first, doublings))

    def reset(self) -> None:
        """Starts again with the first pause, after a success."""
        self._next = 0.0
