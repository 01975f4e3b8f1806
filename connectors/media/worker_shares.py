"""Shares workers so that slow files leave some of them for everyone else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SOFT_SECONDS = 3.0


@dataclass(eq=False, slots=True)
class WorkerHold:
    """One item's hold on a worker.

    `give_way` is set when it has to release the worker for others.
    """

    owner: str
    slow: bool
    give_way: asyncio.Event = field(default_factory=asyncio.Event)
    overdue: bool = False
    timer: asyncio.TimerHandle | None = None


@dataclass(eq=False, slots=True)
class _Waiting:
    owner: str
    slow: bool
    turn: asyncio.Future[WorkerHold]


class WorkerShares:
    """Fair use of a number of workers.

    An item that has had a worker for `soft_seconds` is slow. Slow items hold at most
    half of the workers, and those of one owner at most half of that. A slow item
    without room there gives way as soon as another owner waits, and starts again when
    there is room. One owner holds at most half of all workers; an owner with a slow
    item holds a single one and is served last. So the others wait at most
    `soft_seconds` for each owner that comes for the first time. With a single worker
    nothing can be kept free.
    """

    def __init__(self, workers: int, soft_seconds: float = SOFT_SECONDS) -> None:
        self._workers = workers
        self._soft_seconds = soft_seconds
        self._most_per_owner = max(1, workers // 2)
        self._most_slow = max(1, workers // 2)
        self._most_slow_per_owner = max(1, self._most_slow // 2)
        self._waiting: list[_Waiting] = []
        self._running: set[WorkerHold] = set()

    @asynccontextmanager
    async def hold(self, owner: str, *, slow: bool = False) -> AsyncIterator[WorkerHold]:
        """Waits for a worker and holds it.

        `slow`: the item has given way before, or ran out of time.
        """
        turn = await self._taken(owner, slow)
        try:
            yield turn
        finally:
            if turn.timer is not None:
                turn.timer.cancel()
            self._running.discard(turn)
            self._deal()

    def started(self, turn: WorkerHold) -> None:
        """Starts the clock of an item, once its bytes are loaded: a slow store is not its fault."""
        turn.timer = asyncio.get_running_loop().call_later(
            self._soft_seconds, self._became_slow, turn
        )

    async def _taken(self, owner: str, slow: bool) -> WorkerHold:
        waiting = _Waiting(owner, slow, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._deal()
        try:
            return await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.done() and not waiting.turn.cancelled():
                self._running.discard(waiting.turn.result())
            self._deal()
            raise

    def _became_slow(self, turn: WorkerHold) -> None:
        turn.overdue = True
        self._deal()

    def _deal(self) -> None:
        """Marks overdue items as slow and hands out free workers, as far as possible."""
        self._waiting = [item for item in self._waiting if not item.turn.cancelled()]
        for turn in self._running:
            if turn.overdue and not turn.slow and self._room_for_slow(turn.owner):
                turn.slow = True
        while len(self._running) < self._workers:
            able = [waiting for waiting in self._waiting if self._may_start(waiting)]
            if not able:
                break
            first = min(able, key=self._rank)  # of several with one rank, the earliest
            self._waiting.remove(first)
            turn = WorkerHold(first.owner, first.slow)
            self._running.add(turn)
            first.turn.set_result(turn)
        self._make_way()

    def _make_way(self) -> None:
        """Asks overdue items without room among the slow ones to give way.

        As many give way as waiting items could start.
        """
        free = self._workers - len(self._running)
        wanting = sum(
            not waiting.slow and not self._suspect(waiting.owner) and self._may_start(waiting)
            for waiting in self._waiting
        )
        leaving = sum(turn.give_way.is_set() for turn in self._running)
        for turn in self._running:
            if wanting <= free + leaving:
                return
            if turn.overdue and not turn.slow and not turn.give_way.is_set():
                turn.give_way.set()
                leaving += 1

    def _may_start(self, waiting: _Waiting) -> bool:
        held = sum(turn.owner == waiting.owner for turn in self._running)
        if waiting.slow and not self._room_for_slow(waiting.owner):
            return False
        return held < (1 if self._suspect(waiting.owner) else self._most_per_owner)

    def _rank(self, waiting: _Waiting) -> tuple[int, int]:
        """The order of waiting items, lowest first.

        A slow item comes first while no slow one is running, so that it does run;
        otherwise it comes after the others.
        """
        slow_runs = any(turn.slow for turn in self._running)
        if waiting.slow:
            urgency = 2 if slow_runs or self._workers == 1 else 0
        else:
            urgency = 3 if self._suspect(waiting.owner) else 1
        return urgency, sum(turn.owner == waiting.owner for turn in self._running)

    def _suspect(self, owner: str) -> bool:
        """True if the owner has a slow item that is running or waiting to start again."""
        return any(
            turn.owner == owner and (turn.slow or turn.overdue) for turn in self._running
        ) or any(waiting.owner == owner and waiting.slow for waiting in self._waiting)

    def _room_for_slow(self, owner: str) -> bool:
        slow = [turn.owner for turn in self._running if turn.slow]
        return len(slow) < self._most_slow and slow.count(owner) < self._most_slow_per_owner
