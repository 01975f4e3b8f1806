"""Finds the files that are already stored."""

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
    """Uses a pool. Raises Unavailable while Postgres cannot be reached."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._sql = queries("media_objects")

    async def find(
        self, tenant_id: TenantId, message_key: MessageKey, index: int, url: str
    ) -> StoredFile | None:
        """The stored file of an attachment, or None if the sink has not written its row.

        None does not mean that the object store lacks the file.
        """
        with as_unavailable():
            row = await self._pool.fetchrow(self._sql["find"], tenant_id, message_key, index, url)
        return (
            None if row is None else StoredFile(row["object_key"], row["mime_type"], row["bytes"])
        )
