"""Tenants, endpoints and keys as every role sees them: a copy in memory, read again when Postgres says that something changed."""

import asyncio
import hashlib
import time
from dataclasses import dataclass, field

import asyncpg
import msgspec
import structlog

from schemas import metrics
from schemas.keys import TenantId
from schemas.settings import Postgres
from schemas.tenants import ApiKey, Endpoint, Tenant, TenantSettings
from schemas.topics import Names
from storage.postgres.pool import connect, unavailable
from storage.postgres.sql import queries
from storage.postgres.vault import Vault

log = structlog.get_logger()

RELOAD_SECONDS = 30.0
"""Read again at the latest, should a notification have been missed."""
LONGEST_BACK_OFF_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent reading. Swapped whole: nobody ever sees half of one."""

    tenants: dict[TenantId, Tenant] = field(default_factory=dict)
    endpoints_by_token: dict[bytes, Endpoint] = field(default_factory=dict)
    endpoints_by_id: dict[str, Endpoint] = field(default_factory=dict)
    keys: dict[bytes, ApiKey] = field(default_factory=dict)


def digest(secret: str) -> bytes:
    """Under which tokens and keys are stored and looked up: the plain ones are nowhere."""
    return hashlib.sha256(secret.encode()).digest()


class Directory:
    """The copy. `start` returns at once; `loaded` becomes true with the first reading and stays so while Postgres is away."""

    def __init__(self, settings: Postgres, names: Names, vault: Vault) -> None:
        self.loaded = False
        self._settings = settings
        self._names = names
        self._vault = vault
        self._snapshot = Snapshot()
        self._changed = asyncio.Event()
        self._read_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name="directory")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait_loaded(self) -> None:
        """Until the first reading."""
        while not self.loaded:
            if self._task is not None and self._task.done():
                self._task.result()
            await asyncio.sleep(0.02)

    def endpoint(self, token: str) -> Endpoint | None:
        return self._snapshot.endpoints_by_token.get(digest(token))

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
        return self._snapshot.tenants.get(tenant_id)

    def key(self, plain: str) -> ApiKey | None:
        return self._snapshot.keys.get(digest(plain))

    def age_seconds(self) -> float:
        return time.monotonic() - self._read_at

    async def _keep(self) -> None:
        back_off = 0.1
        while True:
            try:
                connection = await connect(self._settings, self._names, "directory")
                try:
                    await self._follow(connection)
                finally:
                    connection.terminate()
            except Exception as error:
                trouble = unavailable(error)
                if trouble is None:
                    raise
                log.warning(
                    "directory_unreachable",
                    what=trouble.detail,
                    age_seconds=round(self.age_seconds()) if self.loaded else None,
                )
                await asyncio.sleep(back_off)
                back_off = min(LONGEST_BACK_OFF_SECONDS, back_off * 2)
            else:
                back_off = 0.1

    async def _follow(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Listens first and reads then: what changes in between is read again."""
        await connection.add_listener(
            f"{self._names.postgres_schema}_directory", lambda *_: self._changed.set()
        )
        connection.add_termination_listener(lambda *_: self._changed.set())
        while not connection.is_closed():
            self._changed.clear()
            self._snapshot = await self._read(connection)
            self.loaded, self._read_at = True, time.monotonic()
            metrics.DIRECTORY_TENANTS.set(len(self._snapshot.tenants))
            metrics.DIRECTORY_AGE.set_function(self.age_seconds)
            try:
                async with asyncio.timeout(RELOAD_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _read(self, connection: "asyncpg.Connection[asyncpg.Record]") -> Snapshot:
        statements = queries("directory")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tenants = await connection.fetch(statements["tenants"])
            endpoints = await connection.fetch(statements["endpoints"])
            keys = await connection.fetch(statements["keys"])
        known = [
            msgspec.json.decode(self._vault.open(row["sealed"]), type=Endpoint) for row in endpoints
        ]
        return Snapshot(
            tenants={
                row["tenant_id"]: Tenant(
                    tenant_id=row["tenant_id"],
                    settings=msgspec.json.decode(
                        self._vault.open(row["settings"]), type=TenantSettings
                    ),
                )
                for row in tenants
            },
            endpoints_by_token={digest(endpoint.token): endpoint for endpoint in known},
            endpoints_by_id={endpoint.endpoint_id: endpoint for endpoint in known},
            keys={
                row["key_sha256"]: ApiKey(tenant_id=row["tenant_id"], scope=row["scope"])
                for row in keys
            },
        )
