"""Counts of failed files for a page that must not wait."""

import asyncio
from typing import Any

import pytest

from connectors.console.pages import counting
from connectors.console.pages.counting import failure_counter, failures_of_tenants
from connectors.console.pages.reading import PageReading
from schemas.keys import TenantId
from schemas.outcomes import Unavailable

ACME = TenantId("acme")


class Reading:
    """Replaces the queries. The complete count waits for `slow`. Notes what is requested."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.slow = asyncio.Event()
        self.away = self.fails = False

    async def fetch(self, name: str, tenant_id: TenantId, *_: object) -> list[Any]:
        self.asked.append(name)
        if self.away:
            raise Unavailable("Postgres")
        return [f"{name} {len(self.asked)}"]

    async def count(self, name: str, tenant_id: TenantId, *_: object) -> list[Any]:
        self.asked.append(name)
        if not self.away:
            await self.slow.wait()
        if self.fails:
            raise Unavailable("Postgres")
        return await self.fetch(name, tenant_id)


async def test_what_is_counted_at_once_is_exact_each_time() -> None:
    reading: Any = Reading()
    reading.slow.set()
    counter = failure_counter(reading)
    for number in (1, 2):
        counts = await counter.of(ACME)
        assert counts.rows == [f"all_failed_files {2 * number}"] and counts.counted_at is not None


async def test_while_all_are_counted_the_newest_are_shown_and_then_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "WAIT_SECONDS", 0.01)
    reading: Any = Reading()
    counter = failure_counter(reading)
    for _ in range(2):
        first = await counter.of(ACME)
        assert first.rows[0].startswith("failed_files") and first.counted_at is None
    assert reading.asked == [
        "all_failed_files",
        "failed_files",
        "failed_files",
    ]  # however many look
    reading.slow.set()
    (running,) = counter._running.values()
    await running
    for _ in range(3):
        assert (await counter.of(ACME)).rows[0].startswith("all_failed_files")
    assert reading.asked.count("all_failed_files") == 2
    monkeypatch.setattr(counting, "AGAIN_SECONDS", 0.0)
    reading.slow.clear()
    stale = await counter.of(ACME)
    assert stale.counted_at is not None and reading.asked.count("all_failed_files") == 3
    reading.slow.set()


async def test_a_count_that_fails_is_begun_again() -> None:
    reading: Any = Reading()
    reading.away = True
    counter = failure_counter(reading)
    with pytest.raises(Unavailable):
        await counter.of(ACME)
    reading.away = False
    reading.slow.set()
    assert (await counter.of(ACME)).counted_at is not None


async def test_a_count_that_took_long_to_fail_is_not_begun_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "WAIT_SECONDS", 0.01)
    reading: Any = Reading()
    reading.fails = True
    counter = failure_counter(reading)
    assert (await counter.of(ACME)).counted_at is None
    (running,) = counter._running.values()
    reading.slow.set()
    await asyncio.wait({running})
    for _ in range(3):
        assert (await counter.of(ACME)).counted_at is None
    assert reading.asked.count("all_failed_files") == 1
    monkeypatch.setattr(counting, "AGAIN_SECONDS", 0.0)
    reading.fails = False
    monkeypatch.setattr(counting, "WAIT_SECONDS", 30.0)
    assert (await counter.of(ACME)).counted_at is not None


class SlowPool:
    """A pool whose counts do not end before `slow` is set. Everything else ends at once."""

    def __init__(self) -> None:
        self.slow = asyncio.Event()
        self.counting = 0

    async def fetch(self, statement: str, *_: object) -> list[Any]:
        if "every_failure" in statement:
            self.counting += 1
            await self.slow.wait()
        return []


async def test_slow_counts_leave_the_pages_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "WAIT_SECONDS", 0.01)
    pool: Any = SlowPool()
    reading = PageReading(pool)
    reading._sql["all_failed_files_of_tenants"] = "every_failure"
    counter = failures_of_tenants(reading)
    async with asyncio.timeout(20):
        for tenants in (("acme",), ("other",), ("acme", "other")):
            counts = await counter.of(tuple(TenantId(one) for one in tenants))
            assert counts.counted_at is None
    assert pool.counting == 2  # the third waits for one of them
    pool.slow.set()
    await asyncio.gather(*counter._running.values())
