"""A job is admitted, runs and ends once, over restarts and lost lanes, on the real broker."""

import asyncio
import time
from typing import Any

import pytest
from job_shop import Shop, committed, for_tenant
from lane_world import SECONDS, World, at_work, counted, until, write

from schemas.outcomes import Unavailable
from streams.lanes import jobs as jobs_module
from streams.lanes.entries import Entry
from streams.lanes.jobs import Refusal
from streams.lanes.pace import Pace

# admission


async def test_nothing_runs_before_its_admission_is_committed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, held = Shop(world), asyncio.Event()
    loop, commit = asyncio.get_running_loop(), shop.lane._transactions.commit

    def slow(transaction: Any) -> float:
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result(SECONDS)
        return commit(transaction)

    monkeypatch.setattr(shop.lane._transactions, "commit", slow)
    async with shop.open():
        world.produce("in", b"1")
        await until(lambda: len(shop.state) == 1, "the record is an entry")
        assert (shop.desk.items.empty(), world.position(), world.values("log")) == (True, -1001, [])
        held.set()
        job = await shop.next()
        assert (world.position(), len(world.values("log"))) == (1, 1)
        await shop.finish(job)


async def test_a_rested_lane_commits_the_end_of_a_job_without_waiting_for_a_gap(
    world: World,
) -> None:
    world.produce("in", b"1")
    async with Shop(world, pace=Pace(600.0, burst=2)).open() as shop:
        await shop.finish(await shop.next(), write(world.topic("out")))
        assert world.values("out") == [b"out"]


async def test_a_finished_job_commits_its_outputs_and_its_tombstone_together(world: World) -> None:
    world.produce("in", b"the job", key=b"acme:ycloud:1", headers=for_tenant("acme"))
    async with Shop(world).open() as shop:
        job = await shop.next()
        assert (await job.value(), job.entry.tenant, job.entry.key, job.offset, job.partition) == (
            b"the job",
            "acme",
            b"acme:ycloud:1",
            0,
            0,
        )
        await shop.finish(job, write(world.topic("out")))
        assert world.values("out") == [b"out"]
        admitted, done = world.read("log")
        assert (admitted.key() == done.key(), done.value()) == (True, None)
        assert (len(shop.state), shop.jobs.running) == (0, 0)


async def test_a_job_is_settled_exactly_once(world: World) -> None:
    world.produce("in", b"1", b"2")
    async with Shop(world).open() as shop:
        first, second = await shop.next(), await shop.next()
        await shop.finish(first)
        for again in (
            lambda: first.finish([], first.line("forwarded")),
            lambda: first.postpone(Unavailable("model")),
        ):
            with pytest.raises(RuntimeError, match="offset 0 was settled twice"):
                again()
        second.postpone(Unavailable("model", 60.0))
        with pytest.raises(RuntimeError, match="offset 1 was settled twice"):
            second.finish([], second.line("forwarded"))
        assert (shop.jobs.running, len(shop.state)) == (0, 1)


async def test_a_refused_record_never_enters_the_queue_and_its_replacement_comes_with_the_offset(
    world: World,
) -> None:
    instead = [write(world.topic("out"), b"quarantined"), write(world.topic("out"), b"failed")]
    shop, before = (
        Shop(world, refusals={b"poison": Refusal("not_json", instead)}),
        counted("quarantined", "not_json"),
    )
    world.produce("in", b"1", b"poison", b"2")
    async with shop.open():
        found = [await shop.next(), await shop.next()]
        assert [await job.value() for job in found] == [b"1", b"2"]
        assert (world.values("out"), world.position(), len(shop.state)) == (
            [b"quarantined", b"failed"],
            3,
            2,
        )
        assert counted("quarantined", "not_json") == before + 1
        for job in found:
            await shop.finish(job)


async def test_a_batch_of_nothing_but_poison_moves_on(world: World) -> None:
    shop, before = (
        Shop(world, refusals={b"poison": Refusal("not_json", [write(world.topic("out"))])}),
        counted("quarantined", "not_json"),
    )
    world.produce("in", *[b"poison"] * 5)
    async with shop.open():
        await until(lambda: counted("quarantined", "not_json") == before + 5, "all are refused")
        assert (world.position(), len(world.values("out")), shop.desk.items.empty()) == (5, 5, True)


@pytest.mark.parametrize(
    ("key", "headers", "tenant"),
    [
        (b"acme:ycloud:1", for_tenant("zoo"), "zoo"),
        (b"acme:ycloud:1", [], "acme"),
        (b"acme:ycloud:1", [("tenant", b"No Tenant\n")], "unknown"),
        (b"acme:ycloud:1", [("tenant", b"x" * 100_000)], "unknown"),
        (b"\xff\xfe", [], "unknown"),
        (b"", [], "unknown"),
    ],
)
async def test_the_tenant_of_a_job_is_a_tenants_name_or_unknown(
    world: World, key: bytes, headers: list[tuple[str, bytes]], tenant: str
) -> None:
    world.produce("in", b"1", key=key, headers=headers)
    async with Shop(world).open() as shop:
        job = await shop.next()
        assert job.entry.tenant == tenant
        await shop.finish(job)


# a restart


async def test_unfinished_jobs_run_again_and_finished_ones_do_not(world: World) -> None:
    world.produce("in", *[b"%d" % n for n in range(6)])
    async with Shop(world).open() as shop:
        found = [await shop.next() for _ in range(6)]
        for job in found[::2]:
            await shop.finish(job)
    async with Shop(world).open() as again:
        jobs = [await again.next() for _ in range(3)]
        assert [(job.offset, await job.value()) for job in jobs] == [
            (1, b"1"),
            (3, b"3"),
            (5, b"5"),
        ]
        world.produce("in", b"6")
        new = await again.next()
        assert new.offset == 6
        for job in [*jobs, new]:
            await again.finish(job)
    async with Shop(world).open() as empty:
        assert (len(empty.state), empty.desk.items.empty()) == (0, True)


async def test_the_retry_clock_survives_a_restart_from_the_first_postponement_on(
    world: World,
) -> None:
    world.produce("in", b"1")
    async with Shop(world).open() as shop:
        job = await shop.next()
        first, attempt = job.entry.first_attempt_at, job.entry.attempt
        assert (attempt, abs(time.time() - first) < SECONDS) == (0, True)
        job.postpone(Unavailable("model", 0.01))
        job = await shop.next()
        assert (job.entry.first_attempt_at, job.entry.attempt) == (first, 1)
        job.postpone(Unavailable("model", 0.01))
        await committed(shop.lane)
    async with Shop(world).open() as again:
        job = await again.next()
        assert (job.entry.first_attempt_at, job.entry.attempt) == (first, 2)
        await again.finish(job)


async def test_a_postponed_job_is_not_due_before_its_time_also_after_a_restart(
    world: World,
) -> None:
    world.produce("in", b"1", b"2")
    async with Shop(world).open() as shop:
        late, soon = await shop.next(), await shop.next()
        late.postpone(Unavailable("model", 600.0))
        soon.postpone(Unavailable("model", 0.0))
        await committed(shop.lane)
    async with Shop(world).open() as again:
        job = await again.next()
        assert (job.offset, again.desk.items.empty(), len(again.state)) == (1, True, 2)
        await again.finish(job)


async def test_a_clock_that_was_set_back_does_not_park_a_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.produce("in", b"1")
    async with Shop(world).open() as shop:
        job = await shop.next()
        shop.state.put(0, job.entry)
        ahead = Entry(
            job.entry.tenant,
            job.entry.key,
            [],
            b"1",
            time.time(),
            1,
            time.time(),
            due_at=time.time() + 1e9,
        )
        await shop.lane.add([], [shop.state.put(0, ahead)], [])
    monkeypatch.setattr(jobs_module, "LONGEST_WAIT_SECONDS", 0.2)
    async with Shop(world).open() as again:
        await again.finish(await again.next())


@pytest.mark.parametrize("asked", [float("nan"), float("inf"), -5.0, 1e12])
async def test_a_senseless_wait_is_the_longest_one(world: World, asked: float) -> None:
    world.produce("in", b"1")
    async with Shop(world).open() as shop:
        job = await shop.next()
        job.postpone(Unavailable("model", asked, hold=True))
        waited = shop.state.entry(0).due_at - time.time()
        assert (
            jobs_module.LONGEST_WAIT_SECONDS - SECONDS < waited <= jobs_module.LONGEST_WAIT_SECONDS
        )
        assert shop.desk.items.empty()


async def test_many_unfinished_jobs_come_back(world: World) -> None:
    world.produce("in", *[b"%d" % n for n in range(3_000)])
    async with Shop(world).open() as shop:
        await until(
            lambda: len(shop.state) == 3_000 and world.position() == 3_000, "all are admitted"
        )
    async with Shop(world, workers=3_000, per_tenant=3_000).open() as again:
        await until(lambda: again.desk.items.qsize() >= 1_500, "they run again")
        assert (len(again.state), list(again.state.packed) == sorted(again.state.packed)) == (
            3_000,
            True,
        )


# a lost lane


async def test_a_job_of_a_lost_lane_only_frees_its_worker_j5(world: World) -> None:
    world.produce("in", b"1", b"2")
    async with Shop(world, workers=4).open() as shop:
        first, second = await shop.next(), await shop.next()
        assert shop.jobs.running == 2
        shop.lane.stop()
        reopened = Shop(world, workers=4)
        async with reopened.open():
            first.finish([write(world.topic("out"))], first.line("forwarded"))
            second.postpone(Unavailable("model", 0.0, hold=True))
            assert shop.jobs.running == 0
            assert list(reopened.state.packed) == [0, 1]
            again = [await reopened.next(), await reopened.next()]
            for job in again:
                await reopened.finish(job)
        assert (world.values("out"), shop.desk.items.empty()) == ([], True)


async def test_what_a_lost_lane_had_waiting_is_not_started(world: World) -> None:
    world.produce("in", *[b"x"] * 10)
    async with Shop(world, workers=4).open() as shop:
        running = [await shop.next(), await shop.next()]
        shop.lane.stop()
        shop.jobs.drop(shop.lane)
        for job in running:
            job.finish([], job.line("forwarded"))
        assert (shop.desk.items.empty(), shop.jobs.running) == (True, 0)


async def test_jobs_of_a_lane_that_was_given_away_while_it_admitted_them_do_not_run_here(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, held = Shop(world), asyncio.Event()
    loop, commit = asyncio.get_running_loop(), shop.lane._transactions.commit

    def slow(transaction: Any) -> float:
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result(SECONDS)
        return commit(transaction)

    monkeypatch.setattr(shop.lane._transactions, "commit", slow)
    world.produce("in", b"1")
    async with at_work(shop.lane) as task:
        await until(lambda: len(shop.state) == 1, "the record is an entry")
        shop.lane.stop()
        held.set()
        await asyncio.wait([task], timeout=SECONDS)
        assert task.exception() is None
    assert (shop.desk.items.empty(), world.position()) == (True, 1)
