"""A schema of its own for each test, migrated, and dropped afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from connectors.postgres.staging import clear_staged, prepare_staging, store_messages
from schemas.records import EnrichedMessage
from schemas.settings import Postgres
from schemas.topics import Names
from storage.postgres.migrate import migrate
from storage.postgres.pool import connect, create_pool

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


@asynccontextmanager
async def connected(settings: Postgres, names: Names) -> AsyncIterator[Connection]:
    connection = await connect(settings, names, "test")
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def schema(settings: Postgres, names: Names) -> AsyncIterator[Connection]:
    """A connection to the migrated schema, which lives until the block is left."""
    async with connected(settings, names) as connection:
        await migrate(connection, names)
        try:
            yield connection
        finally:
            await connection.execute(f'DROP SCHEMA "{names.postgres_schema}" CASCADE')


@asynccontextmanager
async def pooled(settings: Postgres, names: Names, size: int = 4) -> AsyncIterator[Pool]:
    pool = await create_pool(settings, names, "test", size=size)
    try:
        yield pool
    finally:
        pool.terminate()


async def merge(connection: Connection, *messages: EnrichedMessage) -> set[tuple[str, str]]:
    """Stores messages as the sink does, in the transaction that is open, else in one of its own. Returns the touched conversations."""
    if not connection.is_in_transaction():
        async with connection.transaction():
            return await merge(connection, *messages)
    await prepare_staging(connection)
    await clear_staged(connection)
    return (await store_messages(connection, messages))[2]
