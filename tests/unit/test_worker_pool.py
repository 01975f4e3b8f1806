"""No file waits for a worker to start while another one becomes free."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.media import worker_pool
from connectors.media.worker_pool import WorkerPool
from connectors.media.workers import WorkerLost
from schemas.outcomes import Unavailable


class FakeWorker:
    """A worker without a process. The test decides when it is ready."""

    begun: list["asyncio.Future[FakeWorker]"]

    def __init__(self) -> None:
        self.alive, self.ended = True, False

    @classmethod
    async def started(cls) -> "FakeWorker":
        ready: asyncio.Future[FakeWorker] = asyncio.get_running_loop().create_future()
        cls.begun.append(ready)
        return await ready

    async def end(self) -> None:
        self.alive, self.ended = False, True


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerPool]:
    FakeWorker.begun = []
    monkeypatch.setattr(worker_pool, "Worker", FakeWorker)
    made = WorkerPool(3)
    yield made
    await made.close()


async def turns() -> None:
    """Lets every task continue as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def become_ready() -> FakeWorker:
    """Makes the worker ready that is being started."""
    worker = FakeWorker()
    FakeWorker.begun[-1].set_result(worker)
    await turns()
    return worker


async def taken(pool: WorkerPool) -> tuple["asyncio.Task[object]", FakeWorker]:
    task: asyncio.Task[object] = asyncio.create_task(pool.take())
    await turns()
    worker = await become_ready()
    return task, worker


async def test_the_next_worker_is_started_when_the_last_free_one_is_taken(pool: WorkerPool) -> None:
    task, first = await taken(pool)
    assert (task.result(), len(FakeWorker.begun)) == (first, 2)
    spare = await become_ready()
    assert len(FakeWorker.begun) == 2  # one is free: no third one
    assert await pool.take() is spare
    await turns()
    await become_ready()
    assert (len(pool.alive), len(FakeWorker.begun)) == (3, 3)
    await pool.take()
    await turns()
    assert len(FakeWorker.begun) == 3  # never more than three


async def test_a_file_takes_the_worker_of_another_file_while_its_own_is_still_starting(
    pool: WorkerPool,
) -> None:
    _, first = await taken(pool)
    second = asyncio.create_task(pool.take())
    await turns()
    assert not second.done()
    pool.give_back(first)  # type: ignore[arg-type]
    await turns()
    assert second.result() is first
    assert (await become_ready()) in pool.alive


async def test_files_get_workers_in_the_order_in_which_they_came(pool: WorkerPool) -> None:
    _, first = await taken(pool)
    earlier, later = asyncio.create_task(pool.take()), asyncio.create_task(pool.take())
    await turns()
    pool.give_back(first)  # type: ignore[arg-type]
    await turns()
    assert (earlier.done(), later.done()) == (True, False)
    await become_ready()
    assert later.done()


async def test_a_start_that_fails_refuses_a_file_only_if_no_worker_runs(pool: WorkerPool) -> None:
    refused = asyncio.create_task(pool.take())
    await turns()
    FakeWorker.begun[-1].set_exception(WorkerLost("not ready in time"))
    await turns()
    with pytest.raises(Unavailable, match="decoder: WorkerLost"):
        refused.result()
    _, first = await taken(pool)
    patient = asyncio.create_task(pool.take())
    await turns()
    FakeWorker.begun[-1].set_exception(BlockingIOError())
    await turns()
    assert not patient.done()
    pool.give_back(first)  # type: ignore[arg-type]
    assert await patient is first


async def test_a_worker_that_died_while_it_was_free_is_not_handed_out(pool: WorkerPool) -> None:
    _, first = await taken(pool)
    spare = await become_ready()
    spare.alive = False
    pool.give_back(first)  # type: ignore[arg-type]
    assert await pool.take() is first
    assert spare not in pool.alive


async def test_a_file_that_is_cancelled_leaves_its_worker_to_the_next_one(pool: WorkerPool) -> None:
    task = asyncio.create_task(pool.take())
    await turns()
    worker = FakeWorker()
    FakeWorker.begun[-1].set_result(worker)
    while worker not in pool.alive:
        await asyncio.sleep(0)
    task.cancel()  # the worker is in its hands, and it has not run since
    await turns()
    assert task.cancelled()
    assert await pool.take() is worker


async def test_a_pool_that_closes_ends_its_workers_and_refuses_those_who_wait(
    pool: WorkerPool,
) -> None:
    _, first = await taken(pool)
    waits = asyncio.create_task(pool.take())
    await turns()
    await pool.close()
    assert first.ended
    assert FakeWorker.begun[-1].cancelled()
    with pytest.raises(Unavailable, match="decoder: closed"):
        await waits
