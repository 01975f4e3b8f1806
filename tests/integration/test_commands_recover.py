"""The command that makes PostgreSQL and Kafka consistent again after Kafka was lost."""

import asyncio
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from connectors.postgres.positions import ids_of_all_topics
from connectors.postgres.quarantine_writer import SinkStopped
from connectors.postgres.sink import Sink
from schemas.codec import decode
from schemas.headers import generation_of
from schemas.records import Attachment, EnrichedMessage, Enrichment, MediaJob, VisionJob
from storage.kafka.client import client_config
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.integration.databases import Connection, pooled
from tests.integration.replays import written
from tests.integration.waiting import until
from tests.unit.records import attachment

ANOTHER = "another-topic-id"


def pending(**fields: Any) -> Attachment:
    return attachment(original_url="https://files.example.com/1", **fields)


@pytest.fixture
def lost(commands: Commands) -> Commands:
    """Rows of two tenants, and positions in topics that no longer exist."""
    for tenant in ("acme", "other", "left"):
        commands.json("tenants", "add", tenant)
    stored = {"object_key": f"{commands.names.object_prefix}media/acme/a.jpg", "url": "/media/acme/a.jpg", "sha256": "ab", "mime_type": "image/jpeg", "bytes": 5}  # fmt: skip
    store(
        commands,
        row("1", content="hola"),
        row("2", attachment(status="described", description="a cat"), version=1003),
        row("fetch", pending()),
        row("look", pending(**stored)),
        row("1", tenant="other"),
        row("1", tenant="left"),
    )
    commands.json("tenants", "remove", "left", "--keep-data", "--yes")
    commands.database(lambda connection: positions(connection, commands))
    return commands


async def positions(connection: Connection, commands: Commands, topic_id: str = ANOTHER) -> None:
    for name in ("enriched-messages", "quarantine", "receipts"):
        await connection.execute(
            "INSERT INTO sink_offsets (topic, partition, topic_id, next_offset, epoch) VALUES ($1, 0, $2, 7, 1)",
            commands.names.topic(name),  # type: ignore[arg-type]
            topic_id,
        )


async def stops(commands: Commands) -> str:
    """The error with which the sink refuses to start."""
    async with pooled(commands.settings.postgres, commands.names) as pool:
        with pytest.raises(SinkStopped) as stopped:
            async with asyncio.timeout(60):
                await Sink(commands.settings, pool).run()
    return str(stopped.value)


def versions(commands: Commands) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for record in written(commands, "enriched-messages"):
        message = decode(EnrichedMessage, record.value())
        assert generation_of(record.headers()) == message.version // 1000
        found.setdefault(message.message_key, []).append((message.version, message.status))
    return found


def test_after_kafka_was_lost_rows_are_written_again_and_work_continues(lost: Commands) -> None:
    assert "sensorium recover kafka" in asyncio.run(stops(lost))
    dry = lost.json("recover", "kafka")
    assert (dry["dry_run"], dry["messages"], dry["reopened"]) == (True, 5, 2)
    assert written(lost, "enriched-messages") == []
    done = lost.json("recover", "kafka", "--yes")
    generation = done["generation"]
    assert (done["messages"], done["reopened"]) == (5, 2)
    assert versions(lost) == {
        key_of("1"): [(1, "complete")],
        key_of("2"): [(1003, "complete")],
        key_of("fetch"): [(1, "pending")],
        key_of("look"): [(1, "pending")],
        key_of("1", "other"): [(1, "complete")],
    }
    (media,) = written(lost, "media")
    (vision,) = written(lost, "vision")
    assert decode(MediaJob, media.value()).message_key == key_of("fetch")
    assert decode(VisionJob, vision.value()).message_key == key_of("look")
    opened = [decode(Enrichment, one.value()) for one in written(lost, "enrichments")]
    assert {(one.kind, one.generation) for one in opened} == {("opened", generation)}

    async def read_by_the_sink(connection: Connection) -> list[tuple[str, int]]:
        async with pooled(lost.settings.postgres, lost.names) as pool:
            sink = Sink(lost.settings, pool)
            running = asyncio.create_task(sink.run())

            async def caught_up() -> bool:
                stood = "SELECT sum(greatest(next_offset, 0)) FROM sink_offsets WHERE topic = $1"
                topic = lost.names.topic("enriched-messages")
                return (await connection.fetchval(stood, topic) or 0) >= 5

            await until(caught_up, 60)
            sink.stop()
            await running
        rows = await connection.fetch("SELECT message_key, version FROM chat_messages ORDER BY 1")
        return [(one["message_key"], one["version"]) for one in rows]

    now = dict(lost.database(read_by_the_sink))
    assert now[key_of("1")] == 1 and now[key_of("2")] == 1003
    assert "nothing to recover" in lost.fails("recover", "kafka", "--yes")


@pytest.mark.parametrize("next_offset", [-1, 0, 9])
def test_positions_beyond_the_end_of_the_same_topic_are_lost_too(
    commands: Commands, next_offset: int
) -> None:
    admin = AdminClient(client_config(commands.settings.kafka))
    topic_id = ids_of_all_topics(admin, commands.names)["receipts"]

    async def stand(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO sink_offsets (topic, partition, topic_id, next_offset, epoch) VALUES ($1, 0, $2, $3, 1)",
            commands.names.topic("receipts"),
            topic_id,
            next_offset,
        )

    commands.database(stand)
    if next_offset <= 0:
        assert "nothing to recover" in commands.fails("recover", "kafka")
        return
    assert len(commands.json("recover", "kafka")["topics"]) == 1
    commands.json("recover", "kafka", "--yes")
    assert "nothing to recover" in commands.fails("recover", "kafka")
