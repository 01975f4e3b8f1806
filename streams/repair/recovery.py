"""Makes Kafka and PostgreSQL consistent again after Kafka was lost and PostgreSQL was not."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from schemas.headers import new_traceparent
from schemas.outcomes import Output
from schemas.records import Attachment, EnrichedMessage
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import QUIET, client_config
from storage.kafka.reading import TopicReader
from storage.postgres.sql import queries
from streams.apps.encoding import Encoding
from streams.repair.attachments import context_of, item_for, snapshot
from streams.repair.writing import Item

ADMIN_SECONDS = 20.0
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Lost:
    """Topics in which the sink's position is impossible.

    Such a topic was created again, or it ends before the position.
    """

    topics: tuple[str, ...]
    messages: int
    unfinished: int


class Recovery:
    """The recovery, on one connection.

    A second run after an interruption repeats the writes, but no row is counted twice.
    """

    def __init__(
        self, settings: Settings, connection: "asyncpg.Connection[asyncpg.Record]"
    ) -> None:
        self._settings = settings
        self._names = Names(settings.namespace)
        self._connection = connection
        self._encoding = Encoding(self._names, settings.kafka.partitions)
        self._sql = queries("recovery")

    async def lost(self) -> Lost:
        """Finds out what has to be recovered.

        Raises KafkaException, also if a topic is missing.
        """
        positions = await self._connection.fetch(self._sql["positions"], self._names.topics)
        ids, ends = self._topics({row["topic"] for row in positions})
        topics = {
            row["topic"]
            for row in positions
            if row["is_lost"]
            or row["topic_id"] != ids[row["topic"]]
            or row["next_offset"] > ends[row["topic"]].get(row["partition"], 0)
        }
        counted = await self._connection.fetchrow(self._sql["counted"])
        assert counted is not None
        return Lost(tuple(sorted(topics)), counted["messages"], counted["unfinished"])

    async def published(self) -> AsyncIterator[Item[int]]:
        """Yields every row as a record of the enriched topic, with its version."""
        count = 0
        async for row in self._rows(None):
            count += 1
            steps, aliases = await context_of(self._connection, row)
            message = snapshot(row, self._names.object_prefix, steps, aliases, _unchanged, 0)
            again = msgspec.structs.replace(
                message,
                status=row["status"],
                version=row["version"],
                enriched_at=row["enriched_at"],
                # The raw record is gone, and its offset may belong to another one.
                source=msgspec.structs.replace(message.source, offset=-1),
            )
            yield Item([self._written(again)], count)

    async def reopened(self, generation: int) -> AsyncIterator[Item[int]]:
        """Yields records that open every unfinished message again.

        They have jobs for its pending attachments.
        """
        count = 0
        async for row in self._rows("pending"):
            item = await item_for(self._connection, row, _unchanged, generation, self._encoding)
            if item.writes:
                count += 1
                yield Item(item.writes, count)

    async def begin_again(self, lost: Lost) -> None:
        """Lets the sink read the new topics. Must be the last step."""
        async with self._connection.transaction():
            await self._connection.execute(self._sql["forget_redoing"])
            await self._connection.execute(self._sql["forget_positions"], list(lost.topics))

    def _written(self, message: EnrichedMessage) -> Any:
        output = Output(
            "enriched-messages",
            message.message_key,
            message,
            message.version // 1000,
            message.conversation_id,
        )
        return self._encoding.write(output, new_traceparent())

    async def _rows(self, status: str | None) -> AsyncIterator[Any]:
        at = ("", "")
        while rows := await self._connection.fetch(self._sql["rows_after"], *at, status, CHUNK):
            for row in rows:
                yield row
            at = (rows[-1]["tenant_id"], rows[-1]["message_key"])

    def _topics(self, names: set[str]) -> tuple[dict[str, str], dict[str, dict[int, int]]]:
        """Returns the ids of the topics, and the end offsets of their partitions."""
        admin = AdminClient(client_config(self._settings.kafka) | QUIET)
        described = (
            admin.describe_topics(TopicCollection(sorted(names)), request_timeout=ADMIN_SECONDS)
            if names
            else {}
        )
        ids = {name: str(one.result(ADMIN_SECONDS).topic_id) for name, one in described.items()}
        reader = TopicReader(self._settings.kafka, f"{self._names.prefix}sensorium-recover")
        try:
            return ids, {name: reader.ends(name) for name in names}
        finally:
            reader.close()


def _unchanged(attachment: Attachment) -> Attachment:
    return attachment
