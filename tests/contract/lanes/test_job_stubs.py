"""A job whose body is not in memory is read again from its topic when its turn comes."""

import asyncio

import pytest
from job_shop import NO_BODIES, Shop, for_tenant
from lane_world import SECONDS, World, until

from schemas.outcomes import Unavailable
from streams.lanes import jobs as jobs_module


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
