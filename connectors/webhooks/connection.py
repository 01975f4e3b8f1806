"""One connection's time and its traffic, whatever is spoken on it."""

import asyncio
import time
from collections import deque
from typing import Any, Protocol

from connectors.webhooks.incoming import Application, Incoming
from connectors.webhooks.wheel import NEVER, DeadlineWheel

MAX_EARLY_BYTES = 16 * 1024 * 1024
"""Bounds the bodies that were sent ahead of an answer, on all connections of a server together.

No tenant pays for them before their requests begin.
"""
CHUNK_COST = 64
"""What a chunk takes beside its bytes."""


class Surroundings(Protocol):
    """What the connections of one server share."""

    application: Application
    wheel: DeadlineWheel
    connections: set[Any]
    head_seconds: float
    max_connections: int
    early_bytes: int
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
        """Must be called whenever the deadline of the connection or its current request changed."""
        if self._current is not None:
            self.deadline = self._current.deadline
        if self._untaken_until < self.deadline:
            self.deadline = self._untaken_until
        self._server.wheel.watch(self)

    def abort(self) -> None:
        self._transport.abort()

    def _close(self) -> None:
        """Ends the connection once the client has read the answer, or too much time has passed."""
        self._deaf = True
        self._drop_queue()
        self._transport.close()
        self._untaken_until = min(self._untaken_until, time.monotonic() + self._server.head_seconds)
        self.deadline = NEVER
        self.watch()

    def _keep(self, request: Incoming, chunk: bytes) -> bool:
        """Keeps a chunk of a request that was sent ahead, if there is room for it."""
        cost = len(chunk) + CHUNK_COST
        if self._server.early_bytes + cost > MAX_EARLY_BYTES:
            return False
        self._server.early_bytes += cost
        request.early.append(chunk)
        return True

    def _give_up(self, request: Incoming) -> list[bytes]:
        """What was kept of it, for which there is room again."""
        chunks, request.early = request.early, []
        self._server.early_bytes -= sum(map(len, chunks)) + CHUNK_COST * len(chunks)
        return chunks

    def _drop_queue(self) -> None:
        while self._queue:
            self._give_up(self._queue.pop())

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
