"""A tenant's trouble holds only its own jobs, and intake and ending keep their bounds."""

import asyncio
import time

import pytest
from job_shop import Shop, for_tenant
from lane_world import SECONDS, World, until, write

from schemas.outcomes import Unavailable
from streams.lanes import jobs as jobs_module
from streams.lanes.jobs import Job
from streams.lanes.pace import Pace


async def test_a_tenants_trouble_holds_the_tenant_and_nobody_else(world: World) -> None:
    world.produce("in", *[b"a"] * 5, headers=for_tenant("a"))
    async with Shop(world, workers=1).open() as shop:
        job = await shop.next()
        job.postpone(Unavailable("model", 600.0, hold=True))
        world.produce("in", *[b"b"] * 3, headers=for_tenant("b"))
        for _ in range(3):
            job = await shop.next()
            assert job.entry.tenant == "b"
            await shop.finish(job)
        assert (shop.desk.items.empty(), len(shop.state)) == (True, 5)


async def test_a_job_that_is_postponed_without_hold_leaves_its_tenants_others_alone(
    world: World,
) -> None:
    world.produce("in", b"0", b"1", headers=for_tenant("a"))
    async with Shop(world, workers=4).open() as shop:
        (await shop.next()).postpone(Unavailable("media", 600.0))
        job = await shop.next()
        assert job.offset == 1
        await shop.finish(job)


async def test_intake_pauses_at_the_cap_says_so_and_resumes(world: World) -> None:
    world.produce("in", *[b"%d" % n for n in range(12)])
    async with Shop(world, pace=Pace(0.005, batch_records=2), queue_bytes=1_000).open() as shop:
        await until(lambda: shop.intake.paused == {0}, "intake pauses")
        found = [await shop.next() for _ in range(4)]
        assert (len(shop.state), world.position(), shop.desk.items.empty()) == (4, 4, True)
        done = 0
        for job in found:
            await shop.finish(job)
        while done < 8:
            await shop.finish(await shop.next())
            done += 1
        await until(lambda: not shop.intake.paused, "intake goes on")
        assert (len(shop.state), world.position()) == (0, 12)


async def test_a_tenant_in_outage_does_not_keep_another_ones_jobs_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "BODIES_PART", Shop.queue_bytes // 1_200)
    world.produce("in", *[b"a"] * 600, headers=for_tenant("a"))
    shop = Shop(world, workers=8, per_tenant=4)
    waits: list[float] = []
    tries = 0

    async def worker() -> None:
        nonlocal tries
        while True:
            job: Job = await shop.desk.items.get()
            if job.entry.tenant == "a":
                tries += 1
                job.postpone(Unavailable("model", 0.3, hold=True))
                continue
            waits.append(time.time() - float(await job.value() or b""))
            job.finish([], job.line("forwarded"))

    async with shop.open():
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(worker()) for _ in range(8)]
            await until(lambda: len(shop.state) == 600, "the tenant in outage fills its share")
            for n in range(1, 21):
                world.produce("in", b"%f" % time.time(), headers=for_tenant("b"))
                await until(lambda n=n: len(waits) >= n, "the other tenant is served")  # type: ignore[misc]
            for one in workers:
                one.cancel()
        assert max(waits) < 30.0  # behind the others each would wait for minutes
        assert (shop.intake.paused, len(shop.state) >= 600) == (set(), True)
        assert tries < 600  # parked, not each job tried and rewritten on its own


async def test_ending_waits_for_running_jobs_starts_no_new_ones_and_keeps_the_rest(
    world: World,
) -> None:
    world.produce("in", *[b"x"] * 5)
    async with Shop(world, workers=4).open() as shop:
        running = [await shop.next(), await shop.next()]
        draining = asyncio.ensure_future(shop.jobs.drain(SECONDS))
        await until(lambda: shop.jobs.draining, "it ends")
        await shop.finish(running[0], write(world.topic("out")))
        assert (draining.done(), shop.desk.items.empty()) == (False, True)
        await shop.finish(running[1], write(world.topic("out")))
        await asyncio.wait_for(draining, SECONDS)
    assert len(world.values("out")) == 2
    async with Shop(world).open() as again:
        assert sorted([(await again.next()).offset for _ in range(3)]) == [2, 3, 4]


async def test_ending_does_not_wait_for_ever(world: World) -> None:
    world.produce("in", b"x")
    async with Shop(world).open() as shop:
        await shop.next()
        await asyncio.wait_for(shop.jobs.drain(0.2), SECONDS)
        assert shop.jobs.running == 1


async def test_with_all_workers_busy_nothing_ticks(world: World) -> None:
    world.produce("in", b"1", b"2")
    async with Shop(world, workers=1).open() as shop:
        job = await shop.next()
        job.postpone(Unavailable("model", 0.0))  # due within a second or so
        busy = await shop.next()
        ticks = 0
        pump = shop.jobs.pump

        def counting() -> None:
            nonlocal ticks
            ticks += 1
            pump()

        shop.jobs.pump = counting  # type: ignore[method-assign]
        due = shop.state.entry(job.offset).due_at
        await until(lambda: time.time() > due + 0.3, "the postponed job is due")
        assert ticks <= 2
        await shop.finish(busy)
        await shop.finish(await shop.next())
