"""Deletes what removed tenants have stored, for the command and for the console."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import structlog
from confluent_kafka import KafkaException

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import Names
from storage.background import retry_forever
from storage.kafka.counts import WrongCounts
from storage.objects.store import ObjectStore, ObjectStoreMisconfigured
from storage.postgres.pool import as_unavailable, connect, keep_setting
from storage.postgres.repair_plans import WRONG_COUNTS
from storage.postgres.tenancy import Tenancy
from storage.postgres.tenant_removals import REMOVAL_HOLD_SECONDS, HeldRemoval, TenantRemovals
from storage.postgres.vault import Vault
from streams.repair.removal import Deleted, Removal

log = structlog.get_logger()

LOOK_SECONDS = 2.0
AWAY_SECONDS = 5.0
"""A removal pauses for this long after a server was unavailable."""
BROKEN_SECONDS = 60.0
"""A removal pauses for this long after an error that a person has to look at."""
RENEW_SECONDS = REMOVAL_HOLD_SECONDS / 12


async def delete_removed(
    settings: Settings,
    connection: "asyncpg.Connection[asyncpg.Record]",
    tenant: TenantId,
    deleted: Deleted | None = None,
) -> Deleted:
    """Deletes what is stored for a removed tenant and notes it in the audit log.

    Adds to the counts in `deleted`. A second call continues what was interrupted.
    """
    store = ObjectStore(settings.objects, threads=1)
    try:
        deleted = await Removal(settings, connection, store).run(tenant, deleted)
    finally:
        await store.close()
    counts = ", ".join(f"{count} {what}" for what, count in deleted.document().items())
    tenancy = Tenancy(connection, Vault(settings.secrets.key))
    await tenancy.note(tenant, "tenant_data_deleted", counts)
    return deleted


class TenantRemoving:
    """Deletes the data of tenants that people of the console removed, one at a time.

    `run` is a background loop of a console. Several consoles share the work, because
    each removal is held by one of them. It has a connection of its own, because a
    deletion may take hours.
    """

    def __init__(self, settings: Settings, removals: TenantRemovals) -> None:
        self._settings = settings
        self._names = Names(settings.namespace)
        self._removals = removals
        self._holder = secrets.token_hex(8)
        self._looked_at = 0.0

    async def run(self) -> None:
        """Runs until it is cancelled. Every error is logged, and the loop continues."""
        await retry_forever(self._look, self._failed, lambda: self._looked_at)

    async def _look(self) -> None:
        while True:
            held = await self._removals.hold(self._holder)
            self._looked_at = time.monotonic()
            if held is None:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                await self.work(held)

    async def work(self, held: HeldRemoval) -> None:
        """Deletes the tenant's data.

        The next holder of the removal continues if a server is unavailable or this
        process ends. Raises Unavailable if Postgres is.
        """
        deleted, trouble, pause = Deleted(**held.deleted), "", 0.0
        try:
            async with self._renewing(held, deleted):
                await self._delete(held, deleted)
            await self._removals.finish(held, deleted.document())
            return
        except Unavailable as away:
            trouble, pause = away.name, AWAY_SECONDS
            log.info("tenant_removal_waits", tenant=held.tenant_id, what=str(away)[:200])
        except WrongCounts as wrong:
            trouble, pause = WRONG_COUNTS, BROKEN_SECONDS
            log.error("partition_counts_wrong", tenant=held.tenant_id, detail=str(wrong))
        except asyncio.CancelledError:  # a restart: others need not wait for the hold to expire
            with suppress(Exception):
                await asyncio.wait_for(
                    self._removals.let_go(held, deleted.document()), AWAY_SECONDS
                )
            raise
        except Exception as error:
            trouble, pause = type(error).__name__, BROKEN_SECONDS
            log.exception("tenant_removal_failed", tenant=held.tenant_id)
        await self._removals.let_go(held, deleted.document(), trouble, pause)

    async def _delete(self, held: HeldRemoval, deleted: Deleted) -> None:
        """Raises Unavailable, and WrongCounts if the topics have other partition counts
        than the settings say.
        """
        try:
            with as_unavailable():
                connection = await connect(self._settings.postgres, self._names, "removal")
                try:
                    await keep_setting(connection, "sensorium.actor", held.person)
                    await delete_removed(self._settings, connection, held.tenant_id, deleted)
                finally:
                    await connection.close()
        except KafkaException as error:
            raise Unavailable("kafka", detail=str(error)) from error
        except ObjectStoreMisconfigured as error:
            raise Unavailable("object_store", detail=str(error)) from error

    @asynccontextmanager
    async def _renewing(self, held: HeldRemoval, deleted: Deleted) -> AsyncIterator[None]:
        """Renews the hold and writes down the counts while the block runs."""

        async def renew() -> None:
            is_held = True
            while is_held:
                await asyncio.sleep(RENEW_SECONDS)
                with suppress(Unavailable):  # tried again; the block needs Postgres too
                    is_held = await self._removals.renew(held, deleted.document())

        task = asyncio.create_task(renew(), name="hold of a removal")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _failed(self, error: Exception) -> None:
        log.warning("tenant_removal_work_failed", what=type(error).__name__)
