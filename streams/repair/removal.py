"""Deletes what is stored for a removed tenant: rows, files, recorded answers, and its
messages on the topic.
"""

import asyncio
from dataclasses import asdict, dataclass
from functools import partial

import asyncpg

from schemas.keys import TenantId
from schemas.settings import Settings
from schemas.topics import Names
from storage.objects.store import ObjectStore
from storage.postgres.lock_order import despite_deadlocks, in_lock_order
from storage.postgres.sql import queries
from streams.repair.tombstones import Tombstones

CHUNK = 2_000
KEPT = (
    "tenants",
    "directory_changes",
    "ended_tokens",
    "audit_log",
    "ai_usage",
    "tenant_removals",
)
"""Tables whose rows stay after a tenant was removed.

They show that the tenant existed, what was done, what was deleted and what was spent.
They contain no messages.
"""
TABLES = (
    "arrival_records",
    "inbound_messages",
    "message_steps",
    "conversation_aliases",
    "media_objects",
    "quarantined_messages",
    "ai_results",
    "erased_messages",
    "job_attempts",
    "repair_tries",
    "repairs",
    "unmasked_conversations",
    "people_roles",
    "webhook_deliveries",
)


@dataclass(slots=True)
class Deleted:
    """What was deleted. `tombstones` counts those written, one per message and set of topics."""

    messages: int = 0
    tombstones: int = 0
    rows: int = 0
    files: int = 0
    file_bytes: int = 0

    def document(self) -> dict[str, int]:
        return asdict(self)


class Removal:
    """Deletes the data of one tenant.

    Raises Unavailable; a second call continues.
    """

    def __init__(
        self,
        settings: Settings,
        connection: "asyncpg.Connection[asyncpg.Record]",
        store: ObjectStore,
    ) -> None:
        self._names = Names(settings.namespace)
        self._tombstones = Tombstones(settings)
        self._connection = connection
        self._store = store
        self._sql = queries("removal")

    async def run(self, tenant: TenantId, deleted: Deleted | None = None) -> Deleted:
        """Deletes everything. The tenant must have been removed before, so that nothing
        is stored for it while this runs. Adds to the counts in `deleted` while it runs.

        1. Messages, in portions: first an acknowledged tombstone per message on each enriched
           topic, then the rows, whose keys a second run would need.
        2. The other rows of the tenant, and the audit log's entries about viewed conversations.
        3. The files, including those that no row refers to.
        """
        deleted = Deleted() if deleted is None else deleted
        while rows := await self._connection.fetch(self._sql["some_messages"], tenant, CHUNK):  # 1
            named = [(row["message_key"], row["conversation_id"]) for row in rows]
            deleted.tombstones += await asyncio.to_thread(self._tombstones.write, tenant, named)
            keys = in_lock_order((row["message_key"] for row in rows), str)
            await despite_deadlocks(partial(self._delete_messages, tenant, keys))
            deleted.messages += len(rows)
        for table in TABLES:  # 2
            statement = self._sql[f"delete_some_{table}"]
            delete = partial(self._connection.execute, statement, tenant, CHUNK)
            while count := _count(await despite_deadlocks(delete)):
                deleted.rows += count
        await self._connection.execute(self._sql["forget_all_looks"], tenant)
        async for one in self._store.list(f"{self._names.object_prefix}media/{tenant}/"):  # 3
            await self._store.delete(one.key)
            deleted.files += 1
            deleted.file_bytes += one.bytes
        return deleted

    async def _delete_messages(self, tenant: TenantId, keys: list[str]) -> None:
        """Locks the messages first, as a sink does: the statement begins with other tables."""
        async with self._connection.transaction():
            lock = queries("erased")["lock_messages"]
            await self._connection.execute(lock, [tenant] * len(keys), keys)
            await self._connection.execute(self._sql["delete_messages"], tenant, keys)


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
