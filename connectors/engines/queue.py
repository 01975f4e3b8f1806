"""Runs one job at a time per model, behind a short queue."""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from connectors.engines.outcomes import JobAbandoned
from connectors.errors import ConnectorsError
from schemas.metrics import LOCAL_MODEL_SECONDS, LOCAL_MODEL_WAITING

LONGEST_JOB_SECONDS = 900.0
_FIRST_PACE_SECONDS = 3.0
_WEIGHT = 0.3
_LOOK_SECONDS = 0.5
Result = TypeVar("Result")
Gone = Callable[[], Awaitable[bool]]
"""Returns True if the client has disconnected."""


class Full(ConnectorsError):
    """The queue is full. The client should retry after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class JobQueue:
    """Runs the jobs of one model in a thread, one after the other.

    A request takes its place before its body is read, so that the bodies of a flood are
    never in memory. When the client disconnects, a waiting job is dropped, and a
    running one is asked to stop at its next step.
    """

    def __init__(
        self, sense: str, places: int, after_each: Callable[[], None] = lambda: None
    ) -> None:
        self._sense, self._places, self._after_each = sense, places, after_each
        self._taken = 0
        self._pace = _FIRST_PACE_SECONDS
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Takes a place in the queue for the duration of a request. Raises Full."""
        if self._taken >= self._places:
            raise Full(max(1, math.ceil(self._taken * self._pace)))
        self._taken += 1
        LOCAL_MODEL_WAITING.labels(self._sense).set(self._taken)
        try:
            yield
        finally:
            self._taken -= 1
            LOCAL_MODEL_WAITING.labels(self._sense).set(self._taken)

    async def run(self, job: Callable[[Callable[[], bool]], Result], gone: Gone) -> Result:
        """Waits for the job's turn and returns the result of `job(stop)`.

        Raises JobAbandoned, and what the job raises.
        """
        async with self._turn:
            if await gone():
                raise JobAbandoned
            began, hang_up = time.monotonic(), threading.Event()

            def stop() -> bool:
                return hang_up.is_set() or time.monotonic() - began > LONGEST_JOB_SECONDS

            running = asyncio.ensure_future(asyncio.to_thread(job, stop))
            while not running.done():
                await asyncio.wait({running}, timeout=_LOOK_SECONDS)
                if not running.done() and await gone():
                    hang_up.set()
            took = time.monotonic() - began
            self._after_each()
            self._pace += _WEIGHT * (took - self._pace)
            LOCAL_MODEL_SECONDS.labels(self._sense).observe(took)
            return running.result()
