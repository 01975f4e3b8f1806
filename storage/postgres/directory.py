"""A role's copy of tenants, endpoints and keys:
read once, then tenant by tenant as they change.
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
from storage.background import again_and_again
from storage.postgres.pool import connect_directly, refused, unavailable
from storage.postgres.sql import queries
from storage.postgres.tenant_index import EndpointRow, TenantIndex, TenantRow, digest
from storage.postgres.vault import Vault

log = structlog.get_logger()

CHECK_SECONDS = 30.0
"""After this time without a notification, the numbers
of changes are asked for, in case one was missed.
"""
REFUSED_SECONDS = 5.0
"""A role is not ready once Postgres has refused the copy for so long.

A single refusal passes.
"""
ROWS_AT_ONCE = 200
"""Rows of a first reading, or tenants of a
later one, between two turns of the event loop.
"""


def key_id(key: str) -> str:
    """The public id of a key, as the table derives it from the stored digest."""
    return f"key_{digest(key).hex()[:16]}"


class Directory:
    """The copy. `start` returns at once; `loaded`
    becomes true with the first reading and stays true.

    Each connection begins with a reading of everything, in portions, because a standby
    that was promoted may have lost changes. From then on a notification names the
    tenant whose rows are read again, and `directory_changes` says what no notification
    told. The task that keeps the copy retries after every exception, so it ends only
    with the role.
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
            again_and_again(self._follow, self._failed, lambda: self._read_at), name="directory"
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
        """Whether a role may be ready as far as its copy goes.

        An old copy will do while Postgres is away. It will not when Postgres refuses to
        give a new one (REFUSED_SECONDS long), when the key of this process opens none
        of the rows it tried, or when the task that reads it has ended: a key that was
        revoked would stay valid here.
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
        """The endpoint of a token.

        Raises Unavailable for one whose row cannot be opened.
        """
        return self._index.endpoint(token)

    def ended(self, token: str) -> EndedToken | None:
        """Whose a token was that has ended, as far as it is
        remembered: for the operator, not for the answer.
        """
        return self._index.ended(token)

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None:
        return self._index.endpoint_by_id(endpoint_id)

    def provider_key(self, tenant_id: TenantId, provider: str) -> str | None:
        """An API key of the provider that the tenant gave with one of its endpoints."""
        return self._index.provider_key(tenant_id, provider)

    def tenant(self, tenant_id: TenantId) -> Tenant | None:
        """A tenant; None for one that is unknown or removed.

        Raises Unavailable when its row cannot be opened.
        """
        return self._index.tenant(tenant_id)

    def is_removed(self, tenant_id: TenantId) -> bool:
        """Whether the tenant was removed: nothing is
        downloaded and no model is asked for it any more.
        """
        return self._index.is_removed(tenant_id)

    def key(self, plain: str) -> ApiKey | None:
        return self._index.key(plain)

    def age_seconds(self) -> float:
        return time.monotonic() - self._read_at

    def _failed(self, error: Exception) -> None:
        """Logs why the copy could not be read, and
        remembers since when Postgres refuses it.
        """
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
        """Reads the copy, and then what changes, until the connection is lost.

        It listens before it reads, so that a change between the two is read again.
        """
        connection = await connect_directly(self._settings, self._names, "directory")
        try:
            await connection.add_listener(f"{self._names.postgres_schema}_directory", self._told)
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

    def _told(self, _connection: Any, _pid: int, _channel: str, tenant: Any) -> None:
        self._changed_tenants.add(tenant)
        self._wake.set()

    async def _read_all(self, connection: "asyncpg.Connection[asyncpg.Record]") -> str:
        """Reads every row into a new index and returns
        the mark from which changes are to be looked for.
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
        """Notes the tenants that changed since the mark, whether
        or not a notification told. Returns the next mark.
        """
        statements = queries("directory")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            next_mark: str = await connection.fetchval(statements["mark"])
            rows = await connection.fetch(statements["changed_since"], mark)
        self._changed_tenants.update(row["tenant_id"] for row in rows)
        self._has_read()
        return next_mark

    async def _read_changes(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Reads all rows of the tenants that changed.

        What it fails to read is read by the next connection.
        """
        statements = queries("directory")
        while self._changed_tenants:
            names = sorted(self._changed_tenants)[:ROWS_AT_ONCE]
            self._changed_tenants.difference_update(
                names
            )  # before the reading: a later change is told again
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
