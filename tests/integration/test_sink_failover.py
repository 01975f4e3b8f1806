"""Postgres fails over to a standby without the last commits of the sink."""

import asyncio
from collections.abc import Iterator

import asyncpg
import msgspec
import pytest

from connectors.postgres.sink import Sink
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.migrate import migrate
from storage.postgres.pool import connect
from tests.integration.databases import Connection, pooled
from tests.integration.standby import Pair, primary_and_standby
from tests.integration.test_sink_batches import produce
from tests.integration.waiting import until
from tests.topics import make_topics


@pytest.fixture
def pair() -> Iterator[Pair]:
    with primary_and_standby() as running:
        yield running


async def rows(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM chat_messages"))


async def test_what_a_lagging_standby_had_not_heard_is_read_again(
    stack: Settings, namespace: str, pair: Pair
) -> None:
    names = Names(namespace)
    settings = msgspec.structs.replace(stack, namespace=namespace, postgres=pair.settings)
    await asyncio.to_thread(make_topics, settings.kafka, names)
    primary = await connect(pair.primary(), names, "test")
    await migrate(primary, names)
    async with pooled(settings.postgres, names) as pool:
        sink = Sink(settings, pool)
        running = asyncio.create_task(sink.run())

        async def written(count: int) -> bool:
            assert not running.done(), running.exception()
            return await rows(primary) == count

        await asyncio.to_thread(produce, settings, 0, 100)
        await until(lambda: written(100), 60)
        standby = await asyncpg.connect(
            pair.standby_dsn(), server_settings={"search_path": names.postgres_schema}
        )

        async def heard() -> bool:
            return await standby.fetchval("SELECT to_regclass('chat_messages')") is not None and (
                await rows(standby) == 100
            )

        await until(heard, 60)
        await standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
        await standby.execute("SELECT pg_reload_conf()")

        async def is_cut_off() -> bool:
            return not await standby.fetchval("SELECT count(*) FROM pg_stat_wal_receiver")

        await until(is_cut_off, 60)
        await asyncio.to_thread(produce, settings, 100, 120)
        await until(lambda: written(120), 60)
        assert await rows(standby) == 100

        await asyncio.to_thread(pair.kill_primary)
        assert await standby.fetchval("SELECT pg_promote()")
        await asyncio.to_thread(produce, settings, 120, 140)

        async def is_whole() -> bool:
            return await rows(standby) == 140

        await until(is_whole, 60, "every message, also those that the standby had not heard")
        assert not sink._positions.to_take
        sink.stop()
        await running
        await standby.close()
    primary.terminate()
