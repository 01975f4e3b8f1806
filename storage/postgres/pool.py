"""Connections to Postgres, and which of its errors are the world's."""

import asyncio
from typing import Any

import asyncpg

from schemas.outcomes import Unavailable
from schemas.settings import Postgres
from schemas.topics import Names

COMMAND_SECONDS = 30.0
_OF_THE_WORLD = (
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.PostgresSystemError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    ConnectionError,
    TimeoutError,
    asyncio.TimeoutError,
    OSError,
)


def _options(settings: Postgres, names: Names, application: str) -> dict[str, Any]:
    return {
        "dsn": str(settings.dsn),
        "password": str(settings.password) or None,  # None: that of the DSN
        "command_timeout": COMMAND_SECONDS,
        "timeout": 10.0,
        "server_settings": {
            "search_path": names.postgres_schema,
            "application_name": f"sensorium-{application}",
            "jit": "off",
        },
    }


async def connect(
    settings: Postgres, names: Names, application: str = "command"
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection whose search path is the namespace's schema."""
    return await asyncpg.connect(**_options(settings, names, application))


async def create_pool(
    settings: Postgres, names: Names, application: str, *, size: int = 8
) -> "asyncpg.Pool[asyncpg.Record]":
    """A pool that connects when first used, so that a role starts while Postgres is away."""
    pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(
        min_size=0, max_size=size, **_options(settings, names, application)
    )
    return pool


def unavailable(error: BaseException, retry_after: float = 1.0) -> Unavailable | None:
    """Unavailable for what waiting may mend (a connection, a deadlock, a full disk), None for what it will not."""
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, _OF_THE_WORLD) or (
        isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)
    ):
        return Unavailable("postgres", retry_after, detail=type(error).__name__)
    return None
