"""Connections to Postgres, and which of its errors say that the environment is in trouble."""

import asyncio
import re
from typing import Any

import asyncpg

from schemas.outcomes import Unavailable
from schemas.settings import Postgres
from schemas.topics import Names

COMMAND_SECONDS = 30.0
_NOT_OPEN = re.compile(r"\b(closed|closing|terminated)\b")
"""asyncpg has one class for a pool or connection that ends and for a wrong use of one."""
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
_REFUSALS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.InternalServerError,
)
"""Postgres answers, but not with what was asked for: a rotated password, a missing right, a program that
runs before its migration, a proxy in between. None of it says anything about the record in hand."""


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


def refused(error: BaseException) -> bool:
    """Whether Postgres answered and refused, so that a person has to act before it works again."""
    return isinstance(error, _REFUSALS)


def unavailable(error: BaseException, retry_after: float = 1.0) -> Unavailable | None:
    """Unavailable for trouble of the environment, None for trouble of the record or of the program.

    Whatever Postgres says about itself is trouble of the environment: a lost connection, a
    deadlock, a full disk, a refused login, a missing table. What it says about a value is not.
    """
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, (*_OF_THE_WORLD, *_REFUSALS)) or (
        isinstance(error, asyncpg.InterfaceError) and _NOT_OPEN.search(str(error))
    ):
        return Unavailable("postgres", retry_after, detail=type(error).__name__)
    return None
