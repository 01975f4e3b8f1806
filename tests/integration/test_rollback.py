"""The sink of an earlier release, by its own statements, on the newest schema.

This is so during a roll-out, and after a rollback.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from connectors.postgres.writer import Fenced
from schemas.records import EnrichedMessage, Step
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.migrate import migrate, migrations
from tests.integration.databases import Connection, pooled
from tests.integration.test_migrations import before
from tests.integration.test_sink_writer import TOPIC, Sink, a_receipt, line, owner
from tests.unit.records import NOW, message

FIRST_NEWER = "0023"
"""The first migration that the earlier program did not have."""
FILE = Path(__file__).parent / "earlier" / "sink.sql"
SQL = {
    block[1]: block[2]
    for block in re.finditer(
        r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", FILE.read_text(), re.MULTILINE | re.DOTALL
    )
}
Rows = list[tuple[Any, ...]]


class EarlierSink:
    """Writes a batch as the earlier program did: the same statements, order and columns."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.epoch = self.at = 0
        self.used: set[str] = set()

    async def _do(self, name: str, *arguments: Any) -> str:
        self.used.add(name)
        return await self._connection.execute(SQL[name], *arguments)

    async def _table(self, name: str, rows: Rows) -> None:
        await self._do(name, *map(list, zip(*rows, strict=True)))

    async def take(self) -> None:
        await self._do("know_partitions", [TOPIC], [0], ["topic-id"])
        self.used.add("take_partitions")
        row = await self._connection.fetchrow(SQL["take_partitions"], [TOPIC], [0])
        assert row is not None
        self.epoch, self.at = row["epoch"], row["next_offset"]

    async def write(self, *messages: EnrichedMessage) -> bool:
        """Returns False, and writes nothing, if it does not own the partition any more."""
        async with self._connection.transaction():
            await self._do("announce_writing")
            end = max(self.at, 0) + len(messages)
            if await self._do("move_offset", TOPIC, 0, end, self.epoch, self.at) != "UPDATE 1":
                return False
            self.at = end
            await self._do("removal_lock")
            self.used.add("removed_tenants")
            assert await self._connection.fetch(SQL["removed_tenants"]) == []
            for name, rows in _tables(messages).items():
                await self._table(name, rows)
            await self._do("tell", "told", ["[]"])
            await self._table("insert_quarantined", [_quarantined(end)])
            await self._table("merge_deliveries", [_delivery(m) for m in messages])
        return True


def _tables(messages: Iterable[EnrichedMessage]) -> dict[str, Rows]:
    of = list(messages)
    return {
        "merge_messages": [
            (
                m.tenant_id, m.message_key, m.provider, m.conversation_id, m.role, m.direction, m.kind, m.content, m.content_attributes, m.status,
                m.version, m.occurred_at, m.received_at, m.enriched_at, m.sender_id, m.sender_name, m.endpoint_id,
            )
            for m in of
        ],
        "mark_redoing": [(m.tenant_id, m.message_key, m.version) for m in of],
        "insert_arrivals": [
            (m.tenant_id, m.provider, m.provider_message_id, m.message_key, "raw-messages", 0, 1, m.occurred_at, m.received_at)
            for m in of
        ],
        "insert_aliases": [(m.tenant_id, m.provider_message_id, m.conversation_id) for m in of],
        "insert_objects": [
            (m.tenant_id, m.message_key, m.message_key, 0, "", "", 0, "", m.enriched_at) for m in of
        ],
        "insert_steps": [
            (m.tenant_id, m.message_key, s.stage, s.topic, s.partition, s.offset, s.outcome, s.at)
            for m in of
            for s in m.steps
        ],
    }  # fmt: skip


def _quarantined(offset: int) -> tuple[Any, ...]:
    return (
        "dedupe", "raw-messages", 0, "acme", "not_json", "", "key", offset, NOW, b"key", b"value", "{}", "1", "topic-id",
    )  # fmt: skip


def _delivery(m: EnrichedMessage) -> tuple[Any, ...]:
    return (
        m.tenant_id, m.provider, m.provider_message_id, m.message_key, "raw-messages", 0, 1, m.received_at, "forwarded", "", 1,
    )  # fmt: skip


def said(number: int, content: str, version: int = 1) -> EnrichedMessage:
    step = Step(stage="dedupe", outcome=content, topic="t", partition=0, offset=number, at=NOW)
    return message(
        message_key=f"acme:ycloud:{number}",
        provider_message_id=str(number),
        content=content,
        version=version,
        steps=(step,),
    )


async def newer_sink(pool: Any, connection: Connection) -> Sink:
    sink = Sink(pool, await owner(connection))
    sink.offset = await connection.fetchval("SELECT next_offset FROM sink_offsets")
    return sink


async def rows(connection: Connection) -> dict[str, str]:
    found = await connection.fetch("SELECT message_key, content FROM chat_messages")
    return {row["message_key"].rpartition(":")[2]: row["content"] for row in found}


async def deliveries(connection: Connection) -> dict[str, int]:
    """The deliveries that either program counted."""
    found = await connection.fetch("SELECT provider_message_id, deliveries FROM arrivals")
    return {row["provider_message_id"]: row["deliveries"] for row in found}


async def test_a_release_writes_on_the_schema_of_the_next_beside_it_and_after_a_rollback(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = Names(namespace)
    async with (
        before(stack, names, FIRST_NEWER, tmp_path / "old", monkeypatch) as connection,
        pooled(stack.postgres, names) as pool,
    ):
        earlier = EarlierSink(connection)
        await earlier.take()
        assert await earlier.write(said(1, "earlier"), said(2, "earlier"))
        applied = await migrate(connection, names)
        assert applied == [m.name for m in migrations() if m.name >= FIRST_NEWER and not m.is_post]
        assert await earlier.write(said(2, "expanded", 2), said(3, "expanded"))
        newer = await newer_sink(pool, connection)
        await newer.write(
            said(3, "newer", 2), said(4, "newer"), a_receipt(line(0, b"acme:ycloud:3"))
        )
        assert not await earlier.write(said(5, "lost")), "the newer sink has taken over"
        await earlier.take()
        assert await earlier.write(said(4, "rolled back", 2), said(5, "rolled back"))
        with pytest.raises(Fenced):
            await newer.write(said(5, "lost", 2))
        newer = await newer_sink(pool, connection)
        await newer.write(said(5, "upgraded", 2), said(1, "upgraded", 2))
        assert await rows(connection) == {
            "1": "upgraded", "2": "expanded", "3": "newer", "4": "rolled back", "5": "upgraded",
        }  # fmt: skip
        steps = await connection.fetch("SELECT outcome FROM steps WHERE message_key LIKE '%:3'")
        assert {row["outcome"] for row in steps} == {"expanded", "newer"}
        assert await deliveries(connection) == {"1": 1, "2": 2, "3": 2, "4": 1, "5": 1}
        assert earlier.used == set(SQL)
