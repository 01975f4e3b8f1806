"""The console's seam to repairs: the same code as `sensorium replay attachments`, a portion at a time."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import asyncpg
from confluent_kafka import KafkaException

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import unavailable
from storage.postgres.sql import queries
from streams.apps.encoding import Encoding
from streams.repair.attachments import failed_for, item_for
from streams.repair.writing import Item, committed_portions


class AttachmentRedo:
    """Failed attachments of messages that are named."""

    def __init__(self, settings: Settings, pool: "asyncpg.Pool[Any]") -> None:
        self._settings = settings
        self._names = Names(settings.namespace)
        self._encoding = Encoding(self._names, settings.kafka.partitions)
        self._pool = pool

    async def next_generation(self, detail: str) -> int:
        """Higher than all before. Raises Unavailable."""
        generation: int | None = None
        try:
            while generation is None:  # somebody else took that number in the same moment
                generation = await self._pool.fetchval(
                    queries("tenancy")["next_generation"], "repair", detail
                )
        except Exception as error:
            raise unavailable(error) or error from error
        return generation

    async def again(
        self, tenant_id: TenantId, reason: str, keys: Sequence[str], generation: int
    ) -> int:
        """Writes what opens the messages again, in one Kafka transaction. Raises Unavailable."""
        items = await self._items(tenant_id, reason, keys, generation)
        if items:
            try:
                await asyncio.to_thread(self._write, items)
            except KafkaException as error:
                raise Unavailable("Kafka", 5.0, detail=str(error.args[0])[:200]) from error
        return sum(item.mark for item in items)

    async def _items(
        self, tenant_id: TenantId, reason: str, keys: Sequence[str], generation: int
    ) -> list[Item[int]]:
        try:
            async with self._pool.acquire() as connection:
                one = cast("asyncpg.Connection[asyncpg.Record]", connection)
                rows = await one.fetch(
                    queries("repairs")["failed_messages_of"], tenant_id, list(keys), reason
                )
                made = [
                    await item_for(one, row, failed_for(reason), generation, self._encoding)
                    for row in rows
                ]
        except Exception as error:
            raise unavailable(error) or error from error
        return [item for item in made if item.writes]

    def _write(self, items: list[Item[int]]) -> None:
        for _ in committed_portions(self._settings.kafka, self._names, items):
            pass
