"""The job intake on the real broker. The tests act for the workers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import Message
from lane_world import PACE, SECONDS, Desk, World, at_work, counted, open_gate, until, write

from schemas.outcomes import Unavailable
from streams.lanes import jobs as jobs_module
from streams.lanes.entries import Entry
from streams.lanes.in_flight import InFlightRecord
from streams.lanes.job_entries import JobEntries
from streams.lanes.jobs import Job, JobIntake, Jobs, Refusal
from streams.lanes.lane import Lane
from streams.lanes.pace import Pace
from streams.lanes.transactions import Write

NO_BODIES = 1 << 40
"""A value for `BODIES_PART` with which every entry is a stub."""


@dataclass
class Shop:
    """One process with its workers and one lane.

    A single tenant gets half of the workers.
    """

    world: World
    workers: int = 64
    per_tenant: int = 64
    pace: Pace = PACE
    refusals: dict[bytes, Refusal] = field(default_factory=dict)
    desk: Desk = field(default_factory=Desk)
    queue_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.desk, self.workers, self.per_tenant)  # type: ignore[arg-type]
        self.intake = JobIntake(
            self.jobs, self._refuse, open_gate(), InFlightRecord(), self.queue_bytes
        )
        self.state = JobEntries()
        self.lane: Lane = self.world.lane(self.intake, self.state, pace=self.pace)

    def _refuse(self, message: Message, _is_killer: bool) -> Refusal | None:
        return self.refusals.get(message.value() or b"")

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Shop"]:
        async with at_work(self.lane):
            yield self

    async def next(self) -> Job:
        job: Job = await self.desk.next()
        return job

    async def finish(self, job: Job, *writes: Write) -> None:
        """Finishes the job and waits until that is committed."""
        job.finish(list(writes), job.line("forwarded"))
        await committed(self.lane)


def for_tenant(tenant: str) -> list[tuple[str, bytes]]:
    return [("tenant", tenant.encode())]


async def committed(lane: Lane) -> None:
    """Waits until what was just added to the lane is committed."""
    await asyncio.wait_for(asyncio.shield(lane.add([], [], [])), SECONDS)


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


# stubs


async def test_a_job_beyond_its_tenants_share_is_a_stub_and_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "BODIES_PART", Shop.queue_bytes // 24)
    values = [b"%d" % n for n in range(6)]
    world.produce("in", *values, headers=for_tenant("acme"))
    world.produce("in", b"6", headers=for_tenant("zoo"))
    async with Shop(world).open() as shop:
        found = [await shop.next() for _ in range(7)]
        found.sort(key=lambda job: job.offset)
        assert [job.entry.value is None for job in found] == [
            False,
            False,
            True,
            True,
            True,
            True,
            False,
        ]
        order = [5, 2, 3, 4, 0, 1, 6]  # backwards and forwards
        assert [await found[n].value() for n in order] == [b"%d" % n for n in order]
        for job in found:
            await shop.finish(job)


async def test_many_stubs_are_read_again_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "BODIES_PART", NO_BODIES)
    values = [b"%d" % n for n in range(200)]
    world.produce("in", *values)
    async with Shop(world, workers=400, per_tenant=400).open() as shop:
        found = sorted([await shop.next() for _ in range(200)], key=lambda job: job.offset)
        assert (
            list(await asyncio.wait_for(asyncio.gather(*(job.value() for job in found)), SECONDS))
            == values
        )


async def test_a_stub_whose_record_is_gone_has_no_value(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "BODIES_PART", NO_BODIES)
    world.produce("in", b"0", b"1", b"2")
    async with Shop(world).open() as shop:
        found = sorted([await shop.next() for _ in range(3)], key=lambda job: job.offset)
        world.delete_records_before("in", 2)
        assert [await asyncio.wait_for(job.value(), SECONDS) for job in found] == [None, None, b"2"]


async def test_a_stub_of_a_lane_that_is_over_ends_without_a_value(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "BODIES_PART", NO_BODIES)
    world.produce("in", b"0")
    async with Shop(world).open() as shop:
        job = await shop.next()
    await until(lambda: shop.lane._behind._closed, "the lane lets go of its clients")
    assert await job.value() is None


async def test_brokers_that_do_not_give_a_record_again_are_the_worlds_trouble(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "BODIES_PART", NO_BODIES)
    monkeypatch.setattr("streams.lanes.rereads.READ_SECONDS", 0.0)
    world.produce("in", b"0")
    async with Shop(world).open() as shop:
        with pytest.raises(Unavailable):
            await (await shop.next()).value()


async def test_a_body_too_large_for_the_changelog_is_read_again(world: World) -> None:
    values = [b"x" * size for size in (200 * 1024, 300 * 1024, 1_500_000, 4_000_000)]
    world.produce("in", *values, headers=for_tenant("acme"))
    async with Shop(world).open() as shop:
        found = sorted([await shop.next() for _ in range(4)], key=lambda job: job.offset)
        assert [job.entry.value is None for job in found] == [False, True, True, True]
        assert [await job.value() for job in found] == values
        for job in found:
            await shop.finish(job)


# holding, pausing, ending


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
