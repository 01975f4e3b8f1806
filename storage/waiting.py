"""Two small values for what waits: until when, and how long before the next try."""

import time
from dataclasses import dataclass


class Deadline:
    """A moment so many seconds from now, by the monotonic clock: one that several waits share."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @property
    def has_passed(self) -> bool:
        return time.monotonic() >= self._at

    @property
    def left(self) -> float:
        """Seconds that are left, 0 when it has passed."""
        return max(0.0, self._at - time.monotonic())


@dataclass(slots=True)
class BackOff:
    """Pauses that double from `first` to `longest` seconds, until `reset`."""

    first: float
    longest: float
    _next: float = 0.0

    def pause(self) -> float:
        """Seconds to wait before the next try. Each call makes the next one longer."""
        pause = self._next or self.first
        self._next = min(self.longest, 2 * pause)
        return pause

    def reset(self) -> None:
        """After a success: the next trouble begins with the first pause again."""
        self._next = 0.0
