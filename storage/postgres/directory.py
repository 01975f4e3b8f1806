"""A role's copy of tenants, endpoints and keys.

It is read once as a whole, and then tenant by tenant as they change.
"""

import asyncio
import time
from typing import Any

import asyncpg
import structlog

from schemas import metrics
from schemas.keys import TenantId
from schemas.settings import Postgres
from schemas.tenants import ApiKey, EndedToken, Endpoint, Tenant
from schemas.topics import Names
from storage.background import retry_forever
from storage.postgres.pool import connect_directly, refused, unavailable
from storage.postgres.sql import queries
from storage.postgres.tenant_index import EndpointRow, TenantIndex, TenantRow, digest
from storage.postgres.vault import Vault

log = structlog.get_logger()

CHECK_SECONDS = 30.0
"""The time without a notification after which changes are queried.

A notification may have been missed.
"""
REFUSED_SECONDS = 5.0
"""A role is not ready once Postgres has refused the copy for this long.

A refusal may be temporary.
"""
ROWS_AT_ONCE = 200
"""Rows of the first reading, or tenants of a later one, per turn of the event loop."""


def key_id(key: str) -> str:
    """The public id of a key, as the table derives it from the stored digest."""
    return f"key_{digest(key).hex()[:16]}"


class Directory:
    """A copy of all tenants, endpoints and keys in memory, kept up to date by a task.

    `start` returns at once. `loaded` is True from the first complete reading on.

    Each connection begins by reading everything, in portions, because a promoted
    standby may have lost changes. After that a notification names the tenant whose rows
    are read again, and `directory_changes` lists the changes whose notification was
    missed. The task that maintains the copy retries after every exception, so it ends
    only with the role.
    """

    def __init__(self, settings: Postgres, names: Names, vault: Vault) -> None:
        self.loaded = False
        self._settings = settings
        self._names = names
        self._vault = vault
        self._index = TenantIndex(vault)
        self._opens_nothing = False
        self._changed_tenants: set[str] = set()
        self._wake = asyncio.Event()
        self._read_at = time.monotonic()
        self._refused_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        metrics.DIRECTORY_AGE.set_function(self.age_seconds)
        metrics.DIRECTORY_TENANTS.set_function(lambda: len(self._index))
        for table in (TenantRow.table, EndpointRow.table):
            metrics.DIRECTORY_UNREADABLE.labels(table).set_function(
                lambda table=table: self._index.unreadable()[table]  # type: ignore[misc]
            )
        self._task = asyncio.create_task(
            retry_forever(self._follow, self._failed, lambda: self._read_at), name="directory"
        )

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait_loaded(self) -> None:
        """Returns after the first reading."""
        while not self.loaded:
            await asyncio.sleep(0.02)

    @property
    def healthy(self) -> bool:
        """True if the state of the copy lets the role be ready.

        An old copy is enough while Postgres cannot be reached. It is not enough when
        Postgres has refused a new one for REFUSED_SECONDS, when the key of this process
        decrypts none of the rows it tried, or when the task that reads it has ended: a
        revoked key would stay valid here.
        """
        waited = 0.0 if self._refused_since is None else time.monotonic() - self._refused_since
        return (
            self.loaded
            and self._task is not None
            and not self._task.done()
            and waited < REFUSED_SECONDS
            and not self._opens_nothing
        )

    def endpoint(self, token: str) -> Endpoint | None:
        """The endpoint of a token, or None.

        Raises Unavailable if its row cannot be decrypted.
        """
        return self._index.endpoint(token)

    def ended(self, token: str) -> EndedToken | None:
        """The former owner of an ended token, if it is still remembered.

        This is for the operator and not for the HTTP answer.
        """
        return self._index.ended(token)

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None:
        return self._index.endpoint_by_id(endpoint_id)

    def provider_key(self, tenant_id: TenantId, provider: str) -> str | None:
        """A provider API key from one of the tenant's endpoints, or None."""
        return self._index.provider_key(tenant_id, provider)

    def tenant(self, tenant_id: TenantId) -> Tenant | None:
        """The tenant, or None if it is unknown or removed.

        Raises Unavailable if its row cannot be decrypted.
        """
        return self._index.tenant(tenant_id)

    def is_removed(self, tenant_id: TenantId) -> bool:
        """True if the tenant was removed, so that nothing is requested for it."""
        return self._index.is_removed(tenant_id)

    def key(self, plain: str) -> ApiKey | None:
        return self._index.key(plain)

    def age_seconds(self) -> float:
        return time.monotonic() - self._read_at

    def _failed(self, error: Exception) -> None:
        """Logs why the copy was not read, and notes since when Postgres refuses it."""
        away = unavailable(error) is not None and not refused(error)
        if away:
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = time.monotonic()
        metrics.DIRECTORY_REFUSED.set(not away)
        (log.warning if away else log.error)(
            "directory_unreachable" if away else "directory_refused",
            what=type(error).__name__,
            age_seconds=round(self.age_seconds()) if self.loaded else None,
            exc_info=None if away or refused(error) else error,
        )

    async def _follow(self) -> None:
        """Reads the copy and then the changes, until the connection is lost.

        It listens before it reads, so that a change in between is read again.
        """
        connection = await connect_directly(self._settings, self._names, "directory")
        try:
            channel = f"{self._names.postgres_schema}_directory"
            await connection.add_listener(channel, self._note_change)
            connection.add_termination_listener(lambda *_: self._wake.set())
            mark = await self._read_all(connection)
            while not connection.is_closed():
                try:
                    async with asyncio.timeout(CHECK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    mark = await self._look_for_missed_changes(connection, mark)
                self._wake.clear()
                if not connection.is_closed():
                    await self._read_changes(connection)
        finally:
            connection.terminate()

    def _note_change(self, _connection: Any, _pid: int, _channel: str, tenant: Any) -> None:
        self._changed_tenants.add(tenant)
        self._wake.set()

    async def _read_all(self, connection: "asyncpg.Connection[asyncpg.Record]") -> str:
        """Reads every row into a new index.

        Returns the mark for the next query of changes.
        """
        statements = queries("directory")
        index = TenantIndex(self._vault, former=self._index)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            mark: str = await connection.fetchval(statements["mark"])
            for name, add in (
                ("tenants", index.add_tenants),
                ("endpoints", index.add_endpoints),
                ("keys", index.add_keys),
                ("ended_tokens", index.add_ended),
            ):
                cursor = await connection.cursor(statements[name])
                while rows := await cursor.fetch(ROWS_AT_ONCE):
                    add(rows)
        self._index = index.complete()
        self._has_read()
        return mark

    async def _look_for_missed_changes(
        self, connection: "asyncpg.Connection[asyncpg.Record]", mark: str
    ) -> str:
        """Queues the tenants that changed since the mark, notified or not.

        Returns the next mark.
        """
        statements = queries("directory")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            next_mark: str = await connection.fetchval(statements["mark"])
            rows = await connection.fetch(statements["changed_since"], mark)
        self._changed_tenants.update(row["tenant_id"] for row in rows)
        self._has_read()
        return next_mark

    async def _read_changes(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Reads all rows of the queued tenants.

        The next connection reads those that fail here.
        """
        statements = queries("directory")
        while self._changed_tenants:
            names = sorted(self._changed_tenants)[:ROWS_AT_ONCE]
            # Emptied before the reading, so that a change during it is not lost.
            self._changed_tenants.difference_update(names)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                tenants = await connection.fetch(statements["tenants_of"], names)
                endpoints = await connection.fetch(statements["endpoints_of"], names)
                keys = await connection.fetch(statements["keys_of"], names)
                ended = await connection.fetch(statements["ended_tokens_of"], names)
            self._index.exchange(names, tenants, endpoints, keys, ended)
            self._has_read()

    def _has_read(self) -> None:
        self._opens_nothing = self._index.opens_nothing()
        self.loaded, self._read_at, self._refused_since = True, time.monotonic(), None
        metrics.DIRECTORY_REFUSED.set(0)
