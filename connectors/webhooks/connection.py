"""The deadlines and flow control of one connection, independent of the protocol on it."""

import asyncio
import time
from collections import deque
from typing import Any, Protocol

from connectors.webhooks.incoming import Application, Incoming
from connectors.webhooks.wheel import NEVER, DeadlineWheel

MAX_EARLY_BYTES = 16 * 1024 * 1024
"""The limit for the bodies of pipelined requests, on all connections of a server together.

They count for no tenant's budget before their requests begin.
"""
CHUNK_COST = 64
"""The memory of a chunk besides its bytes."""


class Surroundings(Protocol):
    """The values that all connections of one server share."""

    application: Application
    wheel: DeadlineWheel
    connections: set[Any]
    head_seconds: float
    max_connections: int
    early_bytes: int
    ending: bool
    date: bytes


class TimedConnection(asyncio.Protocol):
    """A connection with deadlines. The wheel uses `deadline`, `slot` and `expired`."""

    __slots__ = (
        "_current", "_deaf", "_is_paused", "_queue", "_server", "_transport", "_untaken_until",
        "deadline", "slot",
    )  # fmt: skip

    def __init__(self, server: Surroundings) -> None:
        self._server = server
        self._transport: Any = None
        self._current: Incoming | None = None  # is being answered
        self._queue: deque[Incoming] = deque()  # pipelined
        self._deaf = False
        self._is_paused = False
        self._untaken_until = NEVER
        self.deadline = NEVER
        self.slot = NEVER

    def expired(self, now: float) -> None:
        """Reacts to the deadline: the present state of the connection has lasted too long."""
        raise NotImplementedError

    def watch(self) -> None:
        """Registers the earliest deadline. Call it after each change of a deadline.

        The deadline may be that of the connection or that of its current request.
        """
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
        """Stores a chunk of a pipelined request, or returns False if there is no room for it."""
        cost = len(chunk) + CHUNK_COST
        if self._server.early_bytes + cost > MAX_EARLY_BYTES:
            return False
        self._server.early_bytes += cost
        request.early.append(chunk)
        return True

    def _give_up(self, request: Incoming) -> list[bytes]:
        """Releases the room of a pipelined request's chunks and returns them."""
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
