"""How the sink treats records of erased messages, and tombstones."""

import asyncio

import msgspec
import pytest
from confluent_kafka import Producer

from schemas.codec import decode, encode
from schemas.keys import MessageKey
from schemas.receipts import Ledger, Line, Span
from schemas.records import EnrichedMessage, Quarantined, Receipt
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import plain_producer_config
from storage.postgres.erased import remember_erased
from tests.integration.databases import Connection, schema
from tests.integration.test_sink_batches import at_work
from tests.integration.test_sink_writer import Sink, sink
from tests.integration.waiting import until
from tests.topics import make_topics
from tests.unit.records import KEY, NOW, attachment, message

__all__ = ["sink"]
BESIDE = MessageKey("acme:ycloud:wamid.2")
SHA = "ab" * 32


def with_picture(**fields: object) -> EnrichedMessage:
    shown = attachment(status="described", sha256=SHA, object_key="media/acme/0.jpg")
    return message(shown, status="complete", **fields)


def beside() -> EnrichedMessage:
    return message(message_key=BESIDE, provider_message_id="wamid.2")


async def answer(connection: Connection) -> None:
    await connection.execute(
        "INSERT INTO ai_results (tenant_id, sha256, recipe, kind, text, refused, model, prompt_version, input_tokens, "
        "output_tokens, latency_ms) VALUES ('acme', $1, 'r', 'describe', 'a cat', false, 'm', '1', 0, 0, 0)",
        SHA,
    )


async def kept(connection: Connection, table: str) -> int:
    return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_a_late_version_of_an_erased_message_is_buried_with_its_answer(
    sink: Sink, database: Connection
) -> None:
    await sink.write(message())
    await remember_erased(database, [("acme", KEY)])
    await database.execute("DELETE FROM chat_messages")
    await answer(database)
    await sink.write(with_picture(version=2), beside())
    rows = await database.fetch("SELECT message_key FROM chat_messages")
    assert [row["message_key"] for row in rows] == [BESIDE]
    assert [
        one.record.version for one in sink.buried if isinstance(one.record, EnrichedMessage)
    ] == [2]
    assert (await kept(database, "media_objects"), await kept(database, "ai_results")) == (0, 0)


async def test_an_answer_about_a_file_that_another_message_shows_stays(
    sink: Sink, database: Connection
) -> None:
    other = with_picture(message_key=BESIDE, provider_message_id="wamid.2")
    await sink.write(other)
    await answer(database)
    await remember_erased(database, [("acme", KEY)])
    await sink.write(with_picture(version=2))
    assert await kept(database, "ai_results") == 1


async def test_the_same_key_of_another_tenant_is_stored(sink: Sink, database: Connection) -> None:
    await remember_erased(database, [("other", KEY)])
    await sink.write(message())
    assert (await kept(database, "chat_messages"), sink.buried) == (1, [])


def receipt() -> Receipt:
    """A receipt about two messages, the first of which is a duplicate."""
    lines = [
        Line(7, KEY.encode(), 0, "duplicate", "", 0),
        Line(8, BESIDE.encode(), 0, "forwarded", "", 0),
    ]
    (value,) = Ledger("dedupe", "raw-messages", 0).receipts(Span(7, 9), lines)
    return decode(Receipt, value)


async def test_neither_a_quarantined_record_nor_an_arrival_comes_back(
    sink: Sink, database: Connection
) -> None:
    await remember_erased(database, [("acme", KEY)])
    refused = Quarantined(
        tenant_id=message().tenant_id, stage="describe", reason="stage_error", detail="", topic="vision", partition=0,
        offset=1, key=KEY.encode(), value=b"secret", program_version="0", created_at=NOW,
    )  # fmt: skip
    await sink.write(refused, receipt())
    assert await kept(database, "quarantined_messages") == 0
    arrivals = await database.fetch("SELECT message_key FROM arrivals")
    assert [row["message_key"] for row in arrivals] == [BESIDE]


async def test_a_tombstone_ends_a_message_and_a_batch_with_both_stores_neither(
    sink: Sink, database: Connection
) -> None:
    await sink.write(message(), beside())
    await sink.write(receipt())
    after, work = sink.offset, sink.work(message(version=2))
    work.ended.add(("acme", KEY))
    await sink.write_after(after, work)
    rows = await database.fetch("SELECT message_key FROM chat_messages")
    assert [row["message_key"] for row in rows] == [BESIDE]
    assert len(sink.buried) == 1 and await kept(database, "arrivals") == 1


@pytest.mark.parametrize("known", [True, False])
async def test_a_database_that_is_older_than_the_erasure_learns_of_it_from_the_topic(
    stack: Settings, namespace: str, known: bool
) -> None:
    settings, names = msgspec.structs.replace(stack, namespace=namespace), Names(namespace)
    await asyncio.to_thread(make_topics, settings.kafka, names)
    producer = Producer(plain_producer_config(settings.kafka))
    topic = names.topic("enriched-messages")
    for one in (message(), beside()):
        producer.produce(topic, encode(one), one.message_key.encode(), 0)
    producer.produce(topic, None, KEY.encode(), 0)
    producer.produce(topic, None, b"no message key", 0)
    producer.produce(topic, encode(message(version=1001, generation=1)), KEY.encode(), 0)
    assert await asyncio.to_thread(producer.flush, 30) == 0
    async with schema(settings.postgres, names) as database:
        if known:
            await remember_erased(database, [("acme", KEY)])

        async def only_the_other() -> bool:
            rows = await database.fetch("SELECT message_key FROM chat_messages")
            stands = await database.fetchval("SELECT max(next_offset) FROM sink_offsets")
            return [row["message_key"] for row in rows] == [BESIDE] and (stands or 0) >= 5

        async with at_work(settings):
            await until(only_the_other)
        assert await kept(database, "erased_messages") == 1
