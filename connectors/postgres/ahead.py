"""Prepares the next batch while Postgres is busy with the one before it."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PreparedAhead(Generic[T]):
    """Runs a call in a thread, once: when `start` is first called, or else in `result`."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._running: asyncio.Task[T] | None = None

    def start(self) -> None:
        """Starts the call, unless it was started before."""
        self._started()

    async def result(self) -> T:
        """Returns what the call returns."""
        return await self._started()

    def _started(self) -> "asyncio.Task[T]":
        if self._running is None:
            self._running = asyncio.create_task(asyncio.to_thread(self._call))
        return self._running
