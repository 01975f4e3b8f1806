"""Measures the sink, from Kafka to Postgres with positions in the same transaction.

Beside it are a simple implementation and the limit. The product's side is the role
itself, `sensorium sink`, on loaded topics: new messages with the receipts that make
their arrivals, then a second version of each.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from bench.figures import Figure, Pace, Table, paced, ratio
from bench.rig import BenchRecord, Rig, committed, fill
from bench.traffic import raw_record
from connectors.postgres.rows import STAGED_COLUMNS, message_rows
from connectors.postgres.staging import prepare_staging, store_messages
from connectors.providers.catalogue import read
from schemas.arrival import Arrival
from schemas.codec import encode
from schemas.keys import conversation_partition
from schemas.outcomes import Forward
from schemas.receipts import Ledger, Line, Span
from schemas.records import EnrichedMessage
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import connect
from streams.apps.encoding import utc_now
from streams.local.lifecycle import sensorium
from streams.stages.dedupe import dedupe

ROUNDS = 3
ROWS = 30_000
SINGLE_ROWS = 3_000
RECEIPT_LINES = 500
"""About as many lines as a transaction of dedupe has under load."""
_COPIED = "CREATE TABLE IF NOT EXISTS copied (LIKE chat_messages INCLUDING ALL); TRUNCATE copied"


def run(rig: Rig) -> list[Table]:
    first = [first_version(number) for number in range(ROWS)]
    second = [second_version(message) for message in first]
    inserts, updates, single_inserts, single_updates, copies = [], [], [], [], []
    for _ in range(ROUNDS):
        settings = rig.fresh()
        sensorium(settings, "migrate")
        inserts.append(_sink(rig, settings, first, receipts_of(first)))
        updates.append(_sink(rig, settings, second, [], already=ROWS))
        other = rig.fresh()
        sensorium(other, "migrate")
        single_inserts.append(asyncio.run(_one_by_one(other, first[:SINGLE_ROWS])))
        single_updates.append(asyncio.run(_one_by_one(other, second[:SINGLE_ROWS])))
        copies.append(asyncio.run(_copy(other, first)))
    copy = Figure(name="COPY, chat_messages only", runs=copies)
    return [
        _table("inserts", inserts, single_inserts, copy),
        _table("updates", updates, single_updates, copy),
    ]


def _table(what: str, sink: list[Pace], single: list[float], copy: Figure) -> Table:
    ours = paced("sink, with its position", sink)
    upserts = Figure(name="the same rows, a transaction a message", runs=single)
    return Table(
        bench="sink",
        title=f"sink: {what}",
        unit="rows/s",
        figures=[ours, upserts, copy],
        ratios=[
            ratio("sink : one by one", ours, upserts, at_least=5),
            ratio("sink : COPY", ours, copy),
        ],
    )


def _sink(
    rig: Rig,
    settings: Settings,
    messages: list[EnrichedMessage],
    receipts: list[bytes],
    *,
    already: int = 0,
) -> Pace:
    names, kafka = Names(settings.namespace), settings.kafka
    topic, receipt_topic = names.topic("enriched-messages"), names.topic("receipts")
    fill(kafka, topic, (sink_record(message, kafka.partitions) for message in messages))
    fill(kafka, receipt_topic, (BenchRecord(b"dedupe:0", value, [], 0) for value in receipts))
    done = committed(kafka, names.group("sink"), topic)
    counted = committed(kafka, names.group("sink"), receipt_topic) if receipts else int
    with rig.process(settings, "streams.commands.main", "sink") as worker:
        return worker.pace(
            lambda: max(0, done() - already) + counted(),
            len(messages) + len(receipts),
            len(messages),
        )


def receipts_of(messages: list[EnrichedMessage]) -> list[bytes]:
    """The receipts as dedupe writes them, all from one partition."""
    ledger, receipts = Ledger("dedupe", "raw-messages", 0), list[bytes]()
    for begin in range(0, len(messages), RECEIPT_LINES):
        lines = [
            Line(
                offset,
                m.message_key.encode(),
                int(m.received_at.timestamp() * 1000),
                "forwarded",
                "",
                0,
            )
            for offset, m in enumerate(messages[begin : begin + RECEIPT_LINES], begin)
        ]
        receipts += ledger.receipts(Span(begin, begin + len(lines)), lines)
    return receipts


async def _one_by_one(settings: Settings, messages: list[EnrichedMessage]) -> float:
    """Measures messages per second with one transaction per message.

    Writes the rows that the sink writes with the same statements, but without Kafka,
    decoding and positions.
    """
    async with _connected(settings) as connection:
        began = time.monotonic()
        for message in messages:
            async with connection.transaction():
                await prepare_staging(connection)
                await store_messages(connection, message_rows([message]))
        return len(messages) / (time.monotonic() - began)


async def _copy(settings: Settings, messages: list[EnrichedMessage]) -> float:
    """Measures rows of chat_messages per second into an empty table, without any checks.

    The table has the same indexes.
    """
    rows = _rows(messages)
    async with _connected(settings) as connection:
        await connection.execute(_COPIED)
        began = time.monotonic()
        await connection.copy_records_to_table("copied", records=rows, columns=list(STAGED_COLUMNS))
        return len(rows) / (time.monotonic() - began)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await connect(settings.postgres, Names(settings.namespace), "bench")
    try:
        yield connection
    finally:
        await connection.close()


def _rows(messages: list[EnrichedMessage]) -> list[tuple[Any, ...]]:
    return message_rows(messages).staged


def first_version(number: int) -> EnrichedMessage:
    """The first version of a message, as dedupe writes it."""
    record = raw_record(number)
    arrival = Arrival("raw-messages", number % 4, number, record.key, record.value, record.headers)
    outcome = dedupe(arrival, claimed=(), read=read, now=utc_now())
    assert isinstance(outcome, Forward)
    message = outcome.outputs[0].record
    assert isinstance(message, EnrichedMessage)
    return message


def second_version(message: EnrichedMessage) -> EnrichedMessage:
    """The next version, as assemble writes it: with one more step."""
    step = msgspec.structs.replace(message.steps[0], stage="assemble", topic="enrichments")
    return msgspec.structs.replace(
        message, version=message.version + 1, status="complete", steps=(*message.steps, step)
    )


def sink_record(message: EnrichedMessage, partitions: int) -> BenchRecord:
    """The record as assemble and dedupe write it to the topic."""
    partition = conversation_partition(message.tenant_id, message.conversation_id, partitions)
    return BenchRecord(
        message.message_key.encode(),
        encode(message),
        [("tenant", message.tenant_id.encode())],
        partition,
    )
