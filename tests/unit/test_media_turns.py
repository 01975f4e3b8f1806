import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectors.media.worker_shares import WorkerHold, WorkerShares

NEVER = 3600.0


class Crowd:
    """Owners that want a worker, and those that have one, in the order in which they got it."""

    def __init__(self, workers: int, soft_seconds: float = NEVER) -> None:
        self.turns = WorkerShares(workers, soft_seconds)
        self.held: list[tuple[str, WorkerHold]] = []
        self.order: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def wants(self, name: str, *, slow: bool = False) -> None:
        """Asks for a worker. `name` is the owner's name, then a hyphen and the name of the item."""
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._item(name, slow))

    async def _item(self, name: str, slow: bool) -> None:
        async with self.turns.hold(name.partition("-")[0], slow=slow) as turn:
            self.turns.started(turn)
            self.held.append((name, turn))
            self.order.append(name)
            await self._ends[name].wait()
            self.held.remove((name, turn))

    async def ends(self, name: str) -> None:
        self._ends[name].set()
        await self._tasks[name]
        await settled()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]])
        await settled()

    def at_work(self) -> set[str]:
        return {name for name, _ in self.held}

    def turn(self, name: str) -> WorkerHold:
        return next(turn for held, turn in self.held if held == name)

    def becomes_overdue(self, name: str) -> None:
        self.turns._became_slow(self.turn(name))

    async def leave(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.wait(self._tasks.values())


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def crowd(workers: int, *names: str) -> AsyncIterator[Crowd]:
    made = Crowd(workers)
    for name in names:
        made.wants(name)
    await settled()
    try:
        yield made
    finally:
        await made.leave()
        assert (made.turns._running, made.turns._waiting) == (set(), [])


async def test_one_owner_has_at_most_half_of_the_workers() -> None:
    async with crowd(4, *(f"zoo-{n}" for n in range(5)), "acme") as it:
        assert it.at_work() == {"zoo-0", "zoo-1", "acme"}
        await it.ends("zoo-0")
        assert it.at_work() == {"zoo-1", "zoo-2", "acme"}


async def test_an_owner_that_has_no_worker_comes_before_one_that_has() -> None:
    async with crowd(4, "zoo-1", "b", "c", "d", "zoo-2", "acme") as it:
        await it.ends("c")
        assert it.at_work() == {"zoo-1", "b", "d", "acme"}


@pytest.mark.parametrize(("workers", "slow"), [(2, 1), (3, 1), (4, 2), (8, 4)])
async def test_slow_items_of_any_number_of_owners_leave_workers_for_the_others(
    workers: int, slow: int
) -> None:
    bad = [f"bad{n}" for n in range(workers)]
    async with crowd(workers, *bad, "acme", "bank") as it:
        for name in bad:
            it.becomes_overdue(name)
        held = {name for name, turn in it.held if turn.slow}
        asked = {name for name, turn in it.held if turn.give_way.is_set()}
        assert len(held) == slow
        assert len(asked) == min(2, workers - slow)
        assert not held & asked
        for name in asked:
            await it.ends(name)
        assert len(it.at_work() & {"acme", "bank"}) == len(asked)


async def test_a_slow_item_is_left_alone_while_nobody_waits() -> None:
    async with crowd(2, "bad1", "bad2") as it:
        it.becomes_overdue("bad1")
        it.becomes_overdue("bad2")
        assert not it.turn("bad2").give_way.is_set()
        it.wants("acme")
        await settled()
        assert it.turn("bad2").give_way.is_set()
        assert not it.turn("bad1").give_way.is_set()


async def test_nobody_gives_way_to_an_owner_with_a_slow_item() -> None:
    async with crowd(2, "bad1", "bad2") as it:
        it.becomes_overdue("bad1")
        it.becomes_overdue("bad2")
        it.wants("bad1-more")
        await settled()
        assert not it.turn("bad2").give_way.is_set()


async def test_an_owner_with_a_slow_item_comes_after_everybody_else() -> None:
    async with crowd(2, "bad", "b", "bad-more", "acme") as it:
        it.becomes_overdue("bad")
        await it.ends("b")
        assert it.at_work() == {"bad", "acme"}
        await it.ends("bad")
        assert it.at_work() == {"bad-more", "acme"}


async def test_slow_items_that_gave_way_wait_for_their_own_workers() -> None:
    async with crowd(4) as it:
        for name in ("bad1", "bad2", "bad3"):
            it.wants(name, slow=True)
        await settled()
        assert it.at_work() == {"bad1", "bad2"}
        it.wants("acme")
        await settled()
        assert it.at_work() == {"bad1", "bad2", "acme"}
        await it.ends("bad1")
        assert it.at_work() == {"bad2", "bad3", "acme"}


async def test_a_slow_item_gets_its_worker_although_others_keep_coming() -> None:
    async with crowd(2, "a", "b", "c", "d") as it:
        it.wants("bad", slow=True)
        await settled()
        await it.ends("a")
        assert it.at_work() == {"b", "bad"}


async def test_an_item_becomes_slow_by_the_clock_that_starts_with_its_bytes() -> None:
    turns = WorkerShares(1, soft_seconds=0.01)
    async with turns.hold("acme") as turn:
        turns.started(turn)
        async with asyncio.timeout(60):
            while not turn.slow:
                await asyncio.sleep(0.001)


async def test_who_stops_waiting_takes_no_worker() -> None:
    async with crowd(1, "acme", "bank", "zoo") as it:
        await it.cancel("bank")
        await it.ends("acme")
        assert it.at_work() == {"zoo"}


async def test_a_worker_given_to_one_that_just_stopped_waiting_goes_to_the_next() -> None:
    async with crowd(1, "acme", "bank", "zoo") as it:
        it._ends["acme"].set()
        await asyncio.sleep(0)
        await it.cancel("bank")
        assert it.at_work() == {"zoo"}
