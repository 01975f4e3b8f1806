"""No pool keeps a former primary that still runs, as a read-only server or as a standby."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from schemas.topics import Names
from tests.integration.databases import Pool, pooled
from tests.integration.standby import Pair, primary_and_standby
from tests.integration.waiting import until

SIZE = 4
SECONDS = 90.0


@pytest.fixture
def pair() -> Iterator[Pair]:
    with primary_and_standby() as running:
        yield running


async def ports_of(pool: Pool) -> list[int]:
    """The servers of all connections of the pool, after each has tried to write."""

    async def written() -> int:
        async with pool.acquire() as connection:
            await barrier.wait()
            try:
                await connection.execute("INSERT INTO public.written DEFAULT VALUES")
            except asyncpg.ReadOnlySQLTransactionError:
                return -1
            return int(await connection.fetchval("SELECT inet_server_port()"))

    barrier = asyncio.Barrier(SIZE)
    return await asyncio.gather(*(written() for _ in range(SIZE)))


async def test_a_pool_leaves_a_primary_that_lives_on_and_writes_to_the_promoted_one(
    namespace: str, pair: Pair
) -> None:
    old, new = pair.ports
    admin = await asyncpg.connect(str(pair.primary().dsn))
    await admin.execute("CREATE TABLE public.written (at timestamptz DEFAULT now())")
    standby = await asyncpg.connect(pair.standby_dsn())
    async with pooled(pair.settings, Names(namespace), size=SIZE) as pool:
        assert await ports_of(pool) == [old] * SIZE

        async def is_copied() -> bool:
            return bool(await standby.fetchval("SELECT to_regclass('public.written')"))

        await until(is_copied, SECONDS)
        await admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await admin.execute("SELECT pg_reload_conf()")
        assert await standby.fetchval("SELECT pg_promote()")

        async def all_at_the_new() -> bool:
            return await ports_of(pool) == [new] * SIZE

        await until(all_at_the_new, SECONDS, "every connection is one to the promoted server")
        await admin.close()
        await asyncio.to_thread(pair.demote_primary)
        standby_now = await asyncpg.connect(str(pair.primary().dsn))
        assert await standby_now.fetchval("SELECT pg_is_in_recovery()")
        await standby_now.close()
        async with pooled(pair.settings, Names(namespace), size=SIZE) as later:
            assert await ports_of(later) == [new] * SIZE, "the standby is named first"
        assert await ports_of(pool) == [new] * SIZE
    await standby.close()
