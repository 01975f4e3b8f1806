"""What a session of ours may hold and for how long, and which server it stays with."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from connectors.postgres import positions as positions_of_sinks
from connectors.postgres.sink import Sink
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import MAINTENANCE, REQUESTS, SessionLimits, connect, connect_directly
from storage.postgres.sql import queries
from tests.integration.databases import Connection, pooled, schema
from tests.integration.test_sink_batches import produce
from tests.integration.waiting import until
from tests.topics import make_topics

HELD_SECONDS_AT_MOST = 15.0
BUSY_SECONDS = 45.0
"""The time that a busy machine may need in addition."""


async def limits_of(connection: Connection) -> dict[str, int]:
    rows = await connection.fetch(
        "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])",
        list(REQUESTS.settings()),
    )
    return {row["name"]: int(row["setting"]) for row in rows}


@pytest.mark.parametrize("limits", [REQUESTS, MAINTENANCE])
async def test_the_server_limits_what_a_connection_may_hold(
    stack: Settings, namespace: str, limits: SessionLimits
) -> None:
    for connecting in (connect, connect_directly):
        connection = await connecting(stack.postgres, Names(namespace), "test", limits)
        found = await limits_of(connection)
        assert found == {name: int(value) for name, value in limits.settings().items()}
        assert 0 < found["idle_in_transaction_session_timeout"] < HELD_SECONDS_AT_MOST * 1000
        assert 0 < found["lock_timeout"] < HELD_SECONDS_AT_MOST * 1000
        await connection.close()


async def test_the_server_limits_what_a_connection_of_a_pool_may_hold(
    stack: Settings, namespace: str
) -> None:
    async with pooled(stack.postgres, Names(namespace), limits=REQUESTS) as pool:
        for _ in range(2):  # the second time after the pool has reset it
            async with pool.acquire() as connection:
                expected = {name: int(value) for name, value in REQUESTS.settings().items()}
                assert await limits_of(connection) == expected  # type: ignore[arg-type]


async def test_a_connection_whose_server_only_reads_does_not_stay_in_the_pool(
    stack: Settings, namespace: str
) -> None:
    async with pooled(stack.postgres, Names(namespace), size=1) as pool:
        first = await pool.fetchval("SELECT pg_backend_pid()")
        assert await pool.fetchval("SELECT pg_backend_pid()") == first
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with pool.acquire() as connection, connection.transaction(readonly=True):
                await connection.execute("CREATE TEMPORARY SEQUENCE none; CREATE TABLE n (a int)")
        assert await pool.fetchval("SELECT pg_backend_pid()") != first


async def test_a_partition_that_a_silent_transaction_holds_waits_alone_and_not_long(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions_of_sinks, "HELD_SECONDS", 600.0)
    names = Names(namespace)
    settings = msgspec.structs.replace(stack, namespace=namespace)
    topic, statements = names.topic("enriched-messages"), queries("sink")
    await asyncio.to_thread(make_topics, settings.kafka, names)
    await asyncio.to_thread(produce, settings, 0, 40)
    async with (
        schema(stack.postgres, names) as database,
        pooled(stack.postgres, names, limits=REQUESTS) as pool,
    ):
        others = [n for n in range(40) if n % settings.kafka.partitions]
        sink = Sink(settings, pool)
        positions = sink._positions
        ids = await asyncio.to_thread(positions._admin.call, positions._look)
        await database.execute(statements["know_partitions"], [topic], [0], [ids[topic]])
        patient = dataclasses.replace(REQUESTS, idle_in_transaction_seconds=0)
        silent = await connect(stack.postgres, names, "test", patient)
        await silent.execute("BEGIN")
        await silent.fetch(statements["take_partitions"], [topic], [0])
        running = asyncio.create_task(sink.run())

        async def rows() -> int:
            return int(await database.fetchval("SELECT count(*) FROM chat_messages"))

        async def the_others() -> bool:
            return await rows() == len(others)

        async def every_one() -> bool:
            return await rows() == 40

        await until(the_others, 60)
        assert not silent.is_closed() and not sink.ready and not running.done()
        soon = 1_000  # of the usual time the tests above know how long it is
        await silent.execute(f"SET idle_in_transaction_session_timeout = {soon}")
        await until(every_one, soon / 1_000 + BUSY_SECONDS)
        sink.stop()
        await running
        silent.terminate()


async def test_a_sink_that_is_stopped_in_a_copy_loses_its_positions_to_the_next_owner(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No limit of the server ends a COPY whose client is connected and sends nothing."""
    monkeypatch.setattr(positions_of_sinks, "HELD_SECONDS", 4.0)
    names = Names(namespace)
    settings = msgspec.structs.replace(stack, namespace=namespace)
    topic, statements = names.topic("enriched-messages"), queries("sink")
    await asyncio.to_thread(make_topics, settings.kafka, names)
    await asyncio.to_thread(produce, settings, 0, 40)
    soon = dataclasses.replace(REQUESTS, statement_seconds=1.0, idle_in_transaction_seconds=1.0)
    sending = asyncio.Event()

    async def nothing() -> AsyncIterator[bytes]:
        await sending.wait()
        yield b""

    async with (
        schema(stack.postgres, names) as database,
        pooled(stack.postgres, names, limits=REQUESTS) as pool,
    ):
        sink = Sink(settings, pool)
        positions = sink._positions
        ids = await asyncio.to_thread(positions._admin.call, positions._look)
        await database.execute(statements["know_partitions"], [topic], [0], [ids[topic]])
        frozen = await connect(stack.postgres, names, "test", soon)
        await frozen.execute("CREATE TEMPORARY TABLE staged (a integer)")
        await frozen.execute("BEGIN")
        await frozen.fetch(statements["take_partitions"], [topic], [0])
        copying = asyncio.create_task(
            frozen.copy_to_table("staged", source=nothing(), timeout=600.0)
        )
        running = asyncio.create_task(sink.run())

        async def rows(count: int) -> bool:
            return await database.fetchval("SELECT count(*) FROM chat_messages") == count

        await until(lambda: rows(40), HELD_SECONDS_AT_MOST + BUSY_SECONDS)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            sending.set()
            await copying
        sink.stop()
        await running
        frozen.terminate()
