"""Searches that take long, without a database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.console.pages.reading import PageReading
from connectors.console.pages.searching import SEARCHES_AT_ONCE, SEARCHES_IN_LINE
from connectors.console.tenant_queue import Busy
from schemas.keys import TenantId
from tests.integration.waiting import until

ACME = TenantId("acme")


class SlowSearches:
    """A pool whose connections answer when `over` is set. Only searches use connections."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.taken = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["SlowSearches"]:
        self.taken += 1
        yield self

    @asynccontextmanager
    async def transaction(self, **_: bool) -> AsyncIterator[None]:
        yield

    async def execute(self, *_: object) -> None:
        await self.over.wait()

    async def fetch(self, *_: object) -> list[Any]:
        return [{"found": 0}]


async def test_searches_take_a_share_of_the_connections_and_no_turn_of_other_pages() -> None:
    pool: Any = SlowSearches()
    reading = PageReading(pool)
    tenants = [TenantId(f"t{n}") for n in range(SEARCHES_AT_ONCE + 3)]
    async with asyncio.timeout(30):
        searches = [
            asyncio.create_task(reading._search.is_rare(one, "word"))
            for one in (tenants[0], tenants[0], *tenants)
        ]
        await until(lambda: pool.taken == SEARCHES_AT_ONCE)
        assert await reading.fetch("providers", tenants[0]) != []  # of a tenant that searches
        assert pool.taken == SEARCHES_AT_ONCE
        pool.over.set()
        assert await asyncio.gather(*searches) == [True] * len(searches)


async def test_a_tenant_with_too_many_searches_is_told_to_wait() -> None:
    pool: Any = SlowSearches()
    search = PageReading(pool)._search
    async with asyncio.timeout(30):
        searches = [
            asyncio.create_task(search.is_rare(ACME, "word")) for _ in range(SEARCHES_IN_LINE + 1)
        ]
        await until(lambda: pool.taken == 1)
        with pytest.raises(Busy):
            await search.is_rare(ACME, "word")
        pool.over.set()
        await asyncio.gather(*searches)
