"""One timer for the deadlines of many connections.

A timer of the event loop for each step of a request would cost more than the step. Here a
step sets an attribute. The wheel checks a connection at the time for which it was entered.
By then its deadline has nearly always moved, and the wheel enters it for the later time.
"""

import asyncio
import math
import time
from typing import Protocol

import structlog

log = structlog.get_logger()

TICK_SECONDS = 0.05
"""A deadline is noticed at most this much too late."""
NEVER = math.inf


class Timed(Protocol):
    """An object with a deadline.

    Only the wheel changes `slot`, the time at which it will check the object. It begins
    with NEVER.
    """

    deadline: float
    slot: float

    def expired(self, now: float) -> None:
        """Reacts to the deadline. It may set another one."""
        ...


class DeadlineWheel:
    """Calls `expired` of each watched object after its deadline, by time.monotonic."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Timed]] = {}
        self._turned_to = math.floor(time.monotonic() / TICK_SECONDS)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Starts the timer on the running event loop."""
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def watch(self, timed: Timed) -> None:
        """Enters the object for its deadline. Call it whenever a deadline was set.

        It costs one comparison, unless the deadline is earlier than the time for which the
        object is entered.
        """
        if timed.deadline >= timed.slot or timed.deadline == NEVER:
            return
        self.forget(timed)
        slot = max(math.ceil(timed.deadline / TICK_SECONDS), self._turned_to)
        timed.slot = slot * TICK_SECONDS
        self._slots.setdefault(slot, set()).add(timed)

    def forget(self, timed: Timed) -> None:
        """Stops watching the object."""
        if timed.slot != NEVER:
            there = self._slots.get(round(timed.slot / TICK_SECONDS))
            if there is not None:
                there.discard(timed)
            timed.slot = NEVER

    def turn(self, now: float) -> None:
        """Checks all objects that were entered for a time up to `now`."""
        until = math.floor(now / TICK_SECONDS)
        due = [slot for slot in range(self._turned_to, until + 1) if slot in self._slots]
        self._turned_to = until + 1
        for slot in due:
            for timed in self._slots.pop(slot):
                timed.slot = NEVER
                self._look_at(timed, now)

    def _look_at(self, timed: Timed, now: float) -> None:
        if timed.deadline > now:
            self.watch(timed)
            return
        try:
            timed.expired(now)
        except Exception:  # one object's failure must not keep the others from expiring
            log.exception("deadline_failed")

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        self.turn(time.monotonic())
