"""A schema for each test, which is dropped afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import asyncpg

from connectors.postgres.rows import message_rows
from connectors.postgres.staging import clear_staged, prepare_staging, store_messages
from schemas.records import EnrichedMessage
from schemas.settings import Postgres
from schemas.topics import Names
from storage.postgres.migrate import MIGRATIONS_DIR, migrate, migrations
from storage.postgres.pool import REQUESTS, SessionLimits, connect, create_pool

SCHEMA_SQL = MIGRATIONS_DIR.with_name("schema.sql").read_text()
PATIENT = replace(REQUESTS, idle_in_transaction_seconds=0)
"""The limits of sessions for a test that holds a transaction open while it waits.

On a slow machine that takes longer than a role may pause.
"""
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
AnyConnection: TypeAlias = "Connection | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


@asynccontextmanager
async def connected(
    settings: Postgres, names: Names, limits: SessionLimits = PATIENT
) -> AsyncIterator[Connection]:
    connection = await connect(settings, names, "test", limits)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def schema(settings: Postgres, names: Names) -> AsyncIterator[Connection]:
    """A connection to a schema with all tables, which exists until the end of the block."""
    async with connected(settings, names) as connection:
        await make_schema(connection, names)
        try:
            yield connection
        finally:
            await drop_schema(connection, names)


@asynccontextmanager
async def migrated_schema(settings: Postgres, names: Names) -> AsyncIterator[Connection]:
    """The same, made by applying the migrations one after another.

    A migration that builds an index CONCURRENTLY waits for every transaction of the
    tests that run beside this one, so statements have no time limit.
    """
    async with connected(settings, names, replace(PATIENT, statement_seconds=0)) as connection:
        await migrate(connection, names)
        try:
            yield connection
        finally:
            await drop_schema(connection, names)


async def make_schema(connection: Connection, names: Names) -> None:
    """Makes in one transaction what `migrate` makes of a new database.

    test_schema_sql.py compares the two. The migrations build their indexes CONCURRENTLY,
    which waits for every transaction of the tests that run beside this one.
    """
    async with connection.transaction():
        await connection.execute(f'CREATE SCHEMA "{names.postgres_schema}"')
        await connection.execute(SCHEMA_SQL)
        await connection.execute(
            "CREATE TABLE schema_migrations (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await connection.execute(
            "SELECT feed_era()"
        )  # a migration that adds it as a default notes the era
        await connection.executemany(
            "INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)",
            [(one.name, one.sha256) for one in migrations()],
        )


async def drop_schema(connection: Connection, names: Names) -> None:
    await connection.execute(f'DROP SCHEMA "{names.postgres_schema}" CASCADE')


@asynccontextmanager
async def pooled(
    settings: Postgres, names: Names, size: int = 4, limits: SessionLimits = PATIENT
) -> AsyncIterator[Pool]:
    pool = await create_pool(settings, names, "test", size=size, limits=limits)
    try:
        yield pool
    finally:
        pool.terminate()


async def merge(connection: AnyConnection, *messages: EnrichedMessage) -> set[tuple[str, str]]:
    """Stores messages as the sink does, in the open transaction or else in one of its own.

    Returns the touched conversations.
    """
    if not connection.is_in_transaction():
        async with connection.transaction():
            return await merge(connection, *messages)
    await prepare_staging(connection)
    await clear_staged(connection)
    return (await store_messages(connection, message_rows(messages)))[2]
