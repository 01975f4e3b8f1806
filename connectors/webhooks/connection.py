"""One connection's time and its traffic, whatever is spoken on it."""

import asyncio
import time
from collections import deque
from typing import Any, Protocol

from connectors.webhooks.incoming import Application, Incoming
from connectors.webhooks.wheel import NEVER, DeadlineWheel


class Surroundings(Protocol):
    """What the connections of one server share."""

    application: Application
    wheel: DeadlineWheel
    connections: set[Any]
    head_seconds: float
    max_connections: int
    ending: bool
    date: bytes


class TimedConnection(asyncio.Protocol):
    """`deadline`, `slot` and `expired` are for the wheel."""

    __slots__ = (
        "_current", "_deaf", "_is_paused", "_queue", "_server", "_transport", "_untaken_until", "deadline", "slot",
    )  # fmt: skip

    def __init__(self, server: Surroundings) -> None:
        self._server = server
        self._transport: Any = None
        self._current: Incoming | None = None  # is being answered
        self._queue: deque[Incoming] = deque()  # sent ahead
        self._deaf = False
        self._is_paused = False
        self._untaken_until = NEVER
        self.deadline = NEVER
        self.slot = NEVER

    def expired(self, now: float) -> None:
        """The state that the connection is in has lasted too long."""
        raise NotImplementedError

    def watch(self) -> None:
        """Has to follow whenever a deadline may have changed: the
        connection's, or that of the request that is being answered.
        """
        if self._current is not None:
            self.deadline = self._current.deadline
        if self._untaken_until < self.deadline:
            self.deadline = self._untaken_until
        self._server.wheel.watch(self)

    def abort(self) -> None:
        self._transport.abort()

    def _close(self) -> None:
        """Ends the connection when what was written
        has been taken, or has not been for too long.
        """
        self._deaf = True
        self._queue.clear()
        self._transport.close()
        self._untaken_until = min(self._untaken_until, time.monotonic() + self._server.head_seconds)
        self.deadline = NEVER
        self.watch()

    def _wait(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.watch()

    def _pause(self) -> None:
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._is_paused and not self._deaf and self._untaken_until == NEVER:
            self._is_paused = False
            self._transport.resume_reading()
