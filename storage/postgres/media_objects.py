"""Which files are stored already."""

from dataclasses import dataclass

import asyncpg

from schemas.keys import MessageKey, TenantId
from storage.postgres.pool import as_unavailable
from storage.postgres.sql import queries


@dataclass(frozen=True, slots=True)
class StoredFile:
    object_key: str
    mime_type: str
    bytes: int


class MediaObjects:
    """On a pool. Raises Unavailable while Postgres is away."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._sql = queries("media_objects")

    async def find(
        self, tenant_id: TenantId, message_key: MessageKey, index: int, url: str
    ) -> StoredFile | None:
        """The file of an attachment, as far as the sink
        has written it; None says nothing about the store.
        """
        with as_unavailable():
            row = await self._pool.fetchrow(self._sql["find"], tenant_id, message_key, index, url)
        return (
            None if row is None else StoredFile(row["object_key"], row["mime_type"], row["bytes"])
        )
