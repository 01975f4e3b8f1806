"""A role's copy of tenants, endpoints and keys, read again when Postgres says that something changed."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog

from schemas import metrics
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Postgres
from schemas.tenants import ApiKey, EndedToken, Endpoint, Tenant, TenantSettings
from schemas.topics import Names
from storage.background import again_and_again
from storage.postgres.pool import connect, refused, unavailable
from storage.postgres.sql import queries
from storage.postgres.vault import Vault, VaultError

log = structlog.get_logger()
T = TypeVar("T")

RELOAD_SECONDS = 30.0
"""The copy is read again at the latest after this time, in case a notification was missed."""
REFUSED_SECONDS = 5.0
"""A role is not ready once Postgres has refused the copy for so long. A single refusal passes."""
UNREADABLE_RETRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent reading, replaced as a whole.

    `former` holds tokens that were replaced and are accepted for some time. The rows that cannot
    be opened are in the `unreadable` sets: their owners exist, but cannot be served.
    """

    tenants: dict[TenantId, Tenant] = field(default_factory=dict)
    removed: frozenset[TenantId] = frozenset()
    endpoints_by_token: dict[bytes, Endpoint] = field(default_factory=dict)
    endpoints_by_id: dict[str, Endpoint] = field(default_factory=dict)
    former: dict[bytes, tuple[Endpoint, datetime]] = field(default_factory=dict)
    ended: dict[bytes, EndedToken] = field(default_factory=dict)
    keys: dict[bytes, ApiKey] = field(default_factory=dict)
    unreadable_tenants: frozenset[TenantId] = frozenset()
    unreadable_tokens: frozenset[bytes] = frozenset()

    @property
    def opens_nothing(self) -> bool:
        """Whether there are sealed rows and this process's key opens none of them."""
        return bool(self.unreadable_tenants or self.unreadable_tokens) and not (
            self.tenants or self.endpoints_by_id
        )


def digest(secret: str) -> bytes:
    """Tokens and keys are stored and looked up under their digest; the plain ones are nowhere."""
    return hashlib.sha256(secret.encode()).digest()


def key_id(key: str) -> str:
    """The public id of a key, as the table derives it from the stored digest."""
    return f"key_{digest(key).hex()[:16]}"


class Directory:
    """The copy. `start` returns at once; `loaded` becomes true with the first reading and stays true.

    The task that keeps the copy retries after every exception, so it ends only with the role.
    """

    def __init__(self, settings: Postgres, names: Names, vault: Vault) -> None:
        self.loaded = False
        self._settings = settings
        self._names = names
        self._vault = vault
        self._snapshot = Snapshot()
        self._opened: Mapping[tuple[type, bytes], Any] = {}
        self._reported: frozenset[tuple[str, str, bytes]] = frozenset()
        self._changed = asyncio.Event()
        self._read_at = time.monotonic()
        self._refused_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        metrics.DIRECTORY_AGE.set_function(self.age_seconds)
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

        An old copy will do while Postgres is away. It will not when Postgres refuses to give a new
        one (REFUSED_SECONDS long), when the key of this process opens no row, or when the task
        that reads it has ended: a key that was revoked would stay valid here.
        """
        waited = 0.0 if self._refused_since is None else time.monotonic() - self._refused_since
        return (
            self.loaded
            and self._task is not None
            and not self._task.done()
            and waited < REFUSED_SECONDS
            and not self._snapshot.opens_nothing
        )

    def endpoint(self, token: str) -> Endpoint | None:
        """The endpoint of a token. Raises Unavailable for one whose row cannot be opened."""
        wanted, snapshot = digest(token), self._snapshot
        if wanted in snapshot.unreadable_tokens:
            raise _unreadable("this endpoint")
        found = snapshot.endpoints_by_token.get(wanted)
        if found is None and wanted in snapshot.former:
            endpoint, until = snapshot.former[wanted]
            return endpoint if datetime.now(UTC) < until else None
        return found

    def ended(self, token: str) -> EndedToken | None:
        """Whose a token was that has ended, as far as it is remembered: for the operator, not for the answer."""
        return self._snapshot.ended.get(digest(token))

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None:
        return self._snapshot.endpoints_by_id.get(endpoint_id)

    def provider_key(self, tenant_id: TenantId, provider: str) -> str | None:
        """An API key of the provider that the tenant gave with one of its endpoints."""
        endpoints = self._snapshot.endpoints_by_id.values()
        return next(
            (
                e.api_key
                for e in endpoints
                if e.tenant_id == tenant_id and e.provider == provider and e.api_key
            ),
            None,
        )

    def tenant(self, tenant_id: TenantId) -> Tenant | None:
        """A tenant; None for one that is unknown or removed. Raises Unavailable when its row cannot be opened."""
        if tenant_id in self._snapshot.unreadable_tenants:
            raise _unreadable("this tenant's settings")
        return self._snapshot.tenants.get(tenant_id)

    def is_removed(self, tenant_id: TenantId) -> bool:
        """Whether the tenant was removed: nothing is downloaded and no model is asked for it any more."""
        return tenant_id in self._snapshot.removed

    def key(self, plain: str) -> ApiKey | None:
        return self._snapshot.keys.get(digest(plain))

    def age_seconds(self) -> float:
        return time.monotonic() - self._read_at

    def _failed(self, error: Exception) -> None:
        """Logs why the copy could not be read, and remembers since when Postgres refuses it."""
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
        """Reads the copy, and again at every change, until the connection is lost.

        It listens before it reads, so that a change between the two is read again.
        """
        connection = await connect(self._settings, self._names, "directory")
        try:
            await connection.add_listener(
                f"{self._names.postgres_schema}_directory", lambda *_: self._changed.set()
            )
            connection.add_termination_listener(lambda *_: self._changed.set())
            while not connection.is_closed():
                self._changed.clear()
                self._replace(await self._read(connection))
                try:
                    async with asyncio.timeout(RELOAD_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            connection.terminate()

    def _replace(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.loaded, self._read_at, self._refused_since = True, time.monotonic(), None
        metrics.DIRECTORY_REFUSED.set(0)
        metrics.DIRECTORY_TENANTS.set(len(snapshot.tenants))
        metrics.DIRECTORY_UNREADABLE.labels("tenants").set(len(snapshot.unreadable_tenants))
        metrics.DIRECTORY_UNREADABLE.labels("webhook_endpoints").set(
            len(snapshot.unreadable_tokens)
        )

    async def _read(self, connection: "asyncpg.Connection[asyncpg.Record]") -> Snapshot:
        statements = queries("directory")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tenants = await connection.fetch(statements["tenants"])
            endpoints = await connection.fetch(statements["endpoints"])
            keys = await connection.fetch(statements["keys"])
            ended = await connection.fetch(statements["ended_tokens"])
        reading = _Reading(self._vault, self._opened)
        here = [row for row in tenants if not row["removed"]]
        settings = {row["tenant_id"]: reading.tenant(row) for row in here}
        opened = [(row, reading.endpoint(row)) for row in endpoints]
        known = [(row, endpoint) for row, endpoint in opened if endpoint is not None]
        self._opened = reading.opened
        self._report(reading.unreadable)
        return Snapshot(
            tenants={name: tenant for name, tenant in settings.items() if tenant is not None},
            removed=frozenset(row["tenant_id"] for row in tenants if row["removed"]),
            endpoints_by_token={row["token_sha256"]: endpoint for row, endpoint in known},
            endpoints_by_id={endpoint.endpoint_id: endpoint for _, endpoint in known},
            former={
                row["former_token_sha256"]: (endpoint, row["former_token_until"])
                for row, endpoint in known
                if row["former_token_sha256"] is not None
            },
            ended={row["token_sha256"]: _ended(row) for row in ended},
            keys={
                row["key_sha256"]: ApiKey(tenant_id=row["tenant_id"], scope=row["scope"])
                for row in keys
            },
            unreadable_tenants=frozenset(n for n, tenant in settings.items() if tenant is None),
            unreadable_tokens=frozenset(
                row["token_sha256"] for row, endpoint in opened if endpoint is None
            ),
        )

    def _report(self, unreadable: frozenset[tuple[str, str, bytes]]) -> None:
        """Logs each unreadable row once, and again only when it was changed and still cannot be read."""
        for table, name, _ in sorted(unreadable - self._reported):
            log.error("directory_row_unreadable", table=table, id=name, see="sensorium doctor")
        self._reported = unreadable


class _Reading:
    """Opens rows one by one, so that one that cannot be opened costs only its owner."""

    def __init__(self, vault: Vault, opened_before: Mapping[tuple[type, bytes], Any]) -> None:
        self.opened: dict[tuple[type, bytes], Any] = {}
        self._vault = vault
        self._opened_before = opened_before
        self._unreadable: set[tuple[str, str, bytes]] = set()

    @property
    def unreadable(self) -> frozenset[tuple[str, str, bytes]]:
        """(table, id, digest of the sealed value)."""
        return frozenset(self._unreadable)

    def tenant(self, row: "asyncpg.Record") -> Tenant | None:
        settings = self._open(row["settings"], TenantSettings)
        if settings is None:
            self._note("tenants", row["tenant_id"], row["settings"])
            return None
        return Tenant(tenant_id=row["tenant_id"], settings=settings)

    def endpoint(self, row: "asyncpg.Record") -> Endpoint | None:
        """The sealed contents name the row they belong to: those of another row are not taken."""
        endpoint = self._open(row["sealed"], Endpoint)
        if (
            endpoint is None
            or (endpoint.tenant_id, endpoint.endpoint_id, endpoint.provider)
            != (row["tenant_id"], row["endpoint_id"], row["provider"])
            or digest(endpoint.token) != row["token_sha256"]
        ):
            self._note("webhook_endpoints", row["endpoint_id"], row["sealed"])
            return None
        return endpoint

    def _open(self, sealed: bytes, kind: type[T]) -> T | None:
        found: T | None = self._opened_before.get((kind, sealed))
        if found is None:
            try:
                found = msgspec.json.decode(self._vault.open(sealed), type=kind)
            except (VaultError, msgspec.MsgspecError, ValueError):
                return None
        self.opened[kind, sealed] = found
        return found

    def _note(self, table: str, name: str, sealed: bytes) -> None:
        self._unreadable.add((table, name, hashlib.sha256(sealed).digest()))


def _ended(row: "asyncpg.Record") -> EndedToken:
    return EndedToken(
        tenant_id=row["tenant_id"],
        endpoint_id=row["endpoint_id"],
        provider=row["provider"],
        reason=row["reason"],
    )


def _unreadable(what: str) -> Unavailable:
    return Unavailable(
        "directory",
        UNREADABLE_RETRY_SECONDS,
        hold=True,
        detail=f"{what} cannot be opened with SENSORIUM_SECRETS__KEY",
    )
