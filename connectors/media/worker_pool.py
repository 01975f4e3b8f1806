"""Keeps decoding workers ready, so that no file waits for one to start.

A worker takes a third of a second of CPU time to start, which is seconds on a busy
machine, and longer than nearly every file takes.
"""

import asyncio
from collections import deque

from connectors.media.workers import Worker, WorkerLost
from schemas.outcomes import Unavailable

RETRY_SECONDS = 5.0
"""The wait that a file is asked for when no worker can be started."""


class WorkerPool:
    """Up to `most` workers, started in the background while one more may be needed.

    A file takes the first worker that becomes free, be it new or one that another file
    had. Whenever the last free worker is taken, the next one is started.
    """

    def __init__(self, most: int) -> None:
        self.alive: set[Worker] = set()
        self._most = most
        self._free: list[Worker] = []
        self._wanting: deque[asyncio.Future[Worker]] = deque()
        self._starting: asyncio.Task[None] | None = None

    async def take(self) -> Worker:
        """Waits for a worker. Pass it to `give_back` or `end`.

        Raises Unavailable if none runs and none can be started.
        """
        future: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._wanting.append(future)
        self._deal()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give_back(future.result())
            raise

    def give_back(self, worker: Worker) -> None:
        """Makes the worker available to the next file."""
        self._free.append(worker)
        self._deal()

    async def end(self, worker: Worker) -> None:
        """Ends a worker that cannot take another file. Another one may take its place."""
        self.alive.discard(worker)
        self._deal()
        await worker.end()

    async def close(self) -> None:
        """Ends all workers, also one that is being started, and refuses those who wait."""
        self._most = 0
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        for worker in list(self.alive):
            await self.end(worker)
        self._refuse(Unavailable("decoder", RETRY_SECONDS, detail="closed"))

    def _deal(self) -> None:
        """Hands free workers to those who wait, and starts one if none is left over."""
        self._wanting = deque(one for one in self._wanting if not one.done())
        self.alive -= {worker for worker in self._free if not worker.alive}
        self._free = [worker for worker in self._free if worker.alive]
        while self._free and self._wanting:
            self._wanting.popleft().set_result(self._free.pop())
        if not self._free and self._starting is None and len(self.alive) < self._most:
            self._starting = asyncio.create_task(self._start())

    async def _start(self) -> None:
        refusal: Unavailable | None = None
        try:
            worker = await Worker.started()
        except (OSError, WorkerLost) as error:  # says nothing about the file
            refusal = Unavailable("decoder", RETRY_SECONDS, detail=type(error).__name__)
            refusal.__cause__ = error
        else:
            self.alive.add(worker)
            self._free.append(worker)
        self._starting = None
        if refusal is None:
            self._deal()
        elif not self.alive:
            self._refuse(refusal)

    def _refuse(self, refusal: Unavailable) -> None:
        for future in self._wanting:
            if not future.done():
                future.set_exception(refusal)
        self._wanting.clear()
