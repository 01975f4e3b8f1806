"""Deletes what is kept for a tenant that was removed: rows, files, recorded answers, and its
messages on the topic.
"""

from dataclasses import asdict, dataclass

import asyncpg

from schemas.keys import TenantId
from schemas.settings import Settings
from schemas.topics import Names
from storage.objects.store import ObjectStore
from storage.postgres.sql import queries
from streams.repair.tombstones import Tombstones

CHUNK = 2_000
KEPT = (
    "tenants",
    "directory_changes",
    "ended_tokens",
    "audit_log",
    "ai_usage",
)
"""What stays of a tenant that was removed: that there
was one, what was done, what was spent. No content.
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
    """What went. `tombstones`: messages that the enriched topic forgets at its next compaction."""

    messages: int = 0
    tombstones: int = 0
    rows: int = 0
    files: int = 0
    file_bytes: int = 0

    def document(self) -> dict[str, int]:
        return asdict(self)


class Removal:
    """Deletes the data of one tenant.

    Raises Unavailable; called again it continues where it was.
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

    async def run(self, tenant: TenantId) -> Deleted:
        """The tenant must have been removed: then nothing is stored for it any more while this
        runs.

        1. Messages, a portion at a time: a tombstone
           for each on the enriched topic, acknowledged;
           only then the rows, which name the keys that a second run would need.
        2. The other rows of the tenant, and what the audit
           log says of conversations that were looked at.
        3. The files, also those that no row names.
        """
        deleted = Deleted()
        while rows := await self._connection.fetch(self._sql["some_messages"], tenant, CHUNK):  # 1
            self._tombstones.write(
                tenant, ((row["message_key"], row["conversation_id"]) for row in rows)
            )
            keys = [row["message_key"] for row in rows]
            await self._connection.execute(self._sql["delete_messages"], tenant, keys)
            deleted.messages += len(rows)
            deleted.tombstones += len(rows)
        for table in TABLES:  # 2
            statement = self._sql[f"delete_some_{table}"]
            while count := _count(await self._connection.execute(statement, tenant, CHUNK)):
                deleted.rows += count
        await self._connection.execute(self._sql["forget_all_looks"], tenant)
        async for one in self._store.list(f"{self._names.object_prefix}media/{tenant}/"):  # 3
            await self._store.delete(one.key)
            deleted.files += 1
            deleted.file_bytes += one.bytes
        return deleted


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
