"""Connections to Postgres, limits of their sessions, meaning of their errors."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from schemas.outcomes import Unavailable
from schemas.settings import Postgres
from schemas.topics import Names

T = TypeVar("T")
if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

COMMAND_SECONDS = 30.0
"""The client's own limit for one statement."""
CONNECT_SECONDS = 10.0
_TOO_LONG_FOR_AN_INDEX = "54000"
_WRONG_SETTING = "22023"
"""A SQLSTATE in the class of values, but the wrong value comes from the program.

It is the payload of a NOTIFY or the value of a setting.
"""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits that the server enforces, so that no session of ours holds a lock for ever.

    `idle_in_transaction_seconds` covers a client that pauses within a transaction, and
    `keepalive_seconds` one whose host is gone. 0 means no limit.
    """

    statement_seconds: float = 30.0
    lock_seconds: float = 10.0
    idle_in_transaction_seconds: float = 8.0
    keepalive_seconds: float = 12.0

    def settings(self) -> dict[str, str]:
        """The session's settings by their names in Postgres."""
        third = str(max(1, int(self.keepalive_seconds / 3)))
        return {
            "statement_timeout": _ms(self.statement_seconds),
            "lock_timeout": _ms(self.lock_seconds),
            "idle_in_transaction_session_timeout": _ms(self.idle_in_transaction_seconds),
            "tcp_keepalives_idle": third,
            "tcp_keepalives_interval": third,
            "tcp_keepalives_count": "2",
            "tcp_user_timeout": _ms(self.keepalive_seconds),
        }


REQUESTS = SessionLimits()
"""The limits for roles and commands."""
MAINTENANCE = SessionLimits(statement_seconds=0, lock_seconds=3.0)
"""The limits for migrations.

A statement may take hours, but waits only briefly for a lock, because later statements
queue behind it.
"""


def _ms(seconds: float) -> str:
    return str(int(seconds * 1000))


class PooledConnection(_Connection):
    """Remembers that its server is read-only, so that the pool discards it.

    After a failover, the former primary may continue as a standby. Without this the
    pool would use it again and again.
    """

    only_reads = False

    async def reset(self, *, timeout: float | None = None) -> None:
        """Called by the pool when the connection is returned to it."""
        if self.only_reads:
            self.terminate()
        else:
            await super().reset(timeout=timeout)

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        return await self._noting(
            lambda: super(PooledConnection, self).execute(query, *args, timeout=timeout)
        )

    async def fetch(self, query: str, *args: Any, **how: Any) -> Any:
        return await self._noting(lambda: super(PooledConnection, self).fetch(query, *args, **how))

    async def fetchrow(self, query: str, *args: Any, **how: Any) -> Any:
        return await self._noting(
            lambda: super(PooledConnection, self).fetchrow(query, *args, **how)
        )

    async def fetchval(self, query: str, *args: Any, **how: Any) -> Any:
        return await self._noting(
            lambda: super(PooledConnection, self).fetchval(query, *args, **how)
        )

    async def _noting(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except asyncpg.ReadOnlySQLTransactionError:
            self.only_reads = True
            raise


class PooledSession(PooledConnection):
    """A connection through a pooler in transaction mode, such as PgBouncer.

    Nothing may outlive a transaction, so each call runs in a transaction that begins
    with the session's settings. Statements are not prepared by name.
    """

    begin_with = ""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        if not args and query.startswith("BEGIN"):
            whole = f"{query.rstrip(';')};{self.begin_with}"
            return await _Connection.execute(self, whole, timeout=timeout)
        return await self._noting(
            lambda: super(PooledSession, self).execute(query, *args, timeout=timeout)
        )

    async def reset(self, *, timeout: float | None = None) -> None:
        """Resets nothing, because the server belongs to another transaction by now."""
        if self.only_reads or self.is_in_transaction():
            self.terminate()

    async def _noting(self, call: Callable[[], Awaitable[T]]) -> T:
        if self.is_in_transaction():
            return await super()._noting(call)
        async with self.transaction():
            return await super()._noting(call)


def _settings(names: Names, limits: SessionLimits) -> dict[str, str]:
    return {"search_path": names.postgres_schema, "jit": "off", **limits.settings()}


def _options(
    settings: Postgres, names: Names, application: str, limits: SessionLimits, *, is_pooled: bool
) -> dict[str, Any]:
    session = {} if is_pooled else _settings(names, limits)
    return {
        "password": str(settings.password) or None,  # None: the DSN's password
        "command_timeout": COMMAND_SECONDS if limits.statement_seconds else None,
        "timeout": CONNECT_SECONDS,
        "connection_class": PooledSession if is_pooled else PooledConnection,
        "statement_cache_size": 0 if is_pooled else 100,
        "target_session_attrs": "read-write",
        "server_settings": {"application_name": f"sensorium-{application}", **session},
    }


def _begin_with(names: Names, limits: SessionLimits) -> str:
    """The statements that apply these settings in a transaction.

    The values need no quoting: they are numbers, words of this program and a checked
    schema name.
    """
    return "".join(
        f"SET LOCAL {name} = '{value}';" for name, value in _settings(names, limits).items()
    )


async def connect(
    settings: Postgres, names: Names, application: str = "command", limits: SessionLimits = REQUESTS
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection to the primary, with the namespace's schema as its search path."""
    is_pooled = settings.pooler == "transaction"
    options = _options(settings, names, application, limits, is_pooled=is_pooled)
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        dsn=str(settings.dsn), **options
    )
    if type(connection) is PooledSession:
        connection.begin_with = _begin_with(names, limits)
    return connection


async def connect_directly(
    settings: Postgres, names: Names, application: str, limits: SessionLimits = REQUESTS
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection that bypasses a pooler, for LISTEN and for migrations."""
    options = _options(settings, names, application, limits, is_pooled=False)
    dsn = str(settings.listen_dsn or settings.dsn)
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn=dsn, **options)
    return connection


async def keep_setting(
    connection: "asyncpg.Connection[asyncpg.Record]", name: str, value: str
) -> None:
    """Applies a setting to all later work of this connection, even with a pooler."""
    if type(connection) is PooledSession:  # asyncpg's isinstance accepts any connection
        literal = value.replace("'", "''")
        connection.begin_with += f"SET LOCAL {name} = '{literal}';"
    else:
        await connection.execute("SELECT set_config($1, $2, false)", name, value)


async def create_pool(
    settings: Postgres,
    names: Names,
    application: str,
    *,
    size: int = 8,
    limits: SessionLimits = REQUESTS,
) -> "asyncpg.Pool[asyncpg.Record]":
    """A pool that connects on first use, so a role can start without Postgres."""

    async def begin_with(connection: Any) -> None:
        connection.begin_with = _begin_with(names, limits)

    is_pooled = settings.pooler == "transaction"
    options = _options(settings, names, application, limits, is_pooled=is_pooled)
    pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(
        dsn=str(settings.dsn),
        min_size=0,
        max_size=size,
        init=begin_with if is_pooled else None,
        **options,
    )
    return pool


def refused(error: BaseException) -> bool:
    """True if Postgres answered with a refusal that a person has to resolve."""
    return (
        isinstance(error, asyncpg.PostgresError)
        and not isinstance(error, _PASSES)
        and not names_a_value(error)
    )


_PASSES = (
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""Errors of Postgres that resolve themselves."""


def names_a_value(error: BaseException) -> bool:
    """True if Postgres or its client rejected a value it was given.

    Only such an error can be the fault of a record: SQLSTATE class 22, a check
    constraint, or a value that is too long for its index.
    """
    if not isinstance(error, asyncpg.PostgresError):
        return False
    sqlstate = str(getattr(error, "sqlstate", "") or "")
    return (
        isinstance(error, asyncpg.CheckViolationError)
        or (sqlstate.startswith("22") and sqlstate != _WRONG_SETTING)
        or sqlstate == _TOO_LONG_FOR_AN_INDEX
    )


def unavailable(error: BaseException, retry_after: float = 1.0) -> Unavailable | None:
    """Unavailable for any error of a Postgres call that is not about a value.

    There is deliberately no list of errors that count: a missing table, a refused login
    or a constraint of a newer migration are not the fault of the record either. Returns
    None for an error about a value (`names_a_value`) and for one that no Postgres call
    raises.
    """
    if isinstance(error, Unavailable):
        return error
    raised_by_a_call = isinstance(
        error,
        asyncpg.PostgresError
        | asyncpg.InterfaceError
        | asyncpg.InternalClientError
        | OSError
        | TimeoutError,
    )
    if not raised_by_a_call or names_a_value(error):
        return None
    return Unavailable("postgres", retry_after, detail=type(error).__name__)


@contextmanager
def as_unavailable() -> Iterator[None]:
    """Converts errors of Postgres calls within the block as `unavailable` does.

    Other exceptions pass unchanged.
    """
    try:
        yield
    except Exception as error:
        trouble = unavailable(error)
        if trouble is None or trouble is error:
            raise
        raise trouble from error
