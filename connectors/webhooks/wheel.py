"""Deadlines of many connections, kept by one timer.

A timer of the event loop per step of a request costs more than the step. Here a step
sets an attribute, and a connection is looked at when the earliest time has come that it
was entered for: by then its deadline has nearly always moved on, and it is entered
again.
"""

import asyncio
import math
import time
from typing import Protocol

import structlog

log = structlog.get_logger()

TICK_SECONDS = 0.05
"""A deadline is noticed by so much too late."""
NEVER = math.inf


class Timed(Protocol):
    """Something with a deadline.

    `slot`, the time at which it will be looked
    at, is the wheel's, and begins with NEVER.
    """

    deadline: float
    slot: float

    def expired(self, now: float) -> None:
        """Called when the deadline has passed, and may set another one."""
        ...


class DeadlineWheel:
    """Calls `expired` of each watched object after its deadline, by time.monotonic."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Timed]] = {}
        self._turned_to = math.floor(time.monotonic() / TICK_SECONDS)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Turns from here on, on the running event loop."""
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def watch(self, timed: Timed) -> None:
        """Has to follow whenever a deadline was set.

        Costs a comparison unless it is earlier than all before.
        """
        if timed.deadline >= timed.slot or timed.deadline == NEVER:
            return
        self.forget(timed)
        slot = max(math.ceil(timed.deadline / TICK_SECONDS), self._turned_to)
        timed.slot = slot * TICK_SECONDS
        self._slots.setdefault(slot, set()).add(timed)

    def forget(self, timed: Timed) -> None:
        """Watches it no longer."""
        if timed.slot != NEVER:
            there = self._slots.get(round(timed.slot / TICK_SECONDS))
            if there is not None:
                there.discard(timed)
            timed.slot = NEVER

    def turn(self, now: float) -> None:
        """Looks at everything that was entered for a time up to now."""
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
        except Exception:  # one that fails must not keep the others from their end
            log.exception("deadline_failed")

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        self.turn(time.monotonic())
