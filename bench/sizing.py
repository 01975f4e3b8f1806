"""Measures the size of a message.

It counts its bytes in each table with indexes, and in its records on the topics before
compression.

One message in five has a picture and a second version, all written as the sink writes them.
"""

import asyncio

import asyncpg

from bench.figures import Figure, Table
from bench.rig import Rig
from bench.sink import first_version, second_version
from bench.traffic import is_image, raw_record
from connectors.postgres.rows import arrivals, message_rows
from connectors.postgres.staging import add_arrivals, prepare_staging, store_messages
from schemas.codec import decode, encode
from schemas.receipts import Ledger, Line, Span
from schemas.records import EnrichedMessage, Receipt
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.migrate import migrate
from storage.postgres.pool import connect

MESSAGES = 50_000
BATCH = 1_000
TABLES = (
    "chat_messages",
    "arrival_records",
    "conversation_aliases",
    "media_objects",
)
_SIZE = """
    SELECT sum({size}(relid))::bigint FROM (
        SELECT relid FROM pg_partition_tree($1::regclass) WHERE isleaf UNION SELECT $1::regclass
    ) AS every"""
"""The size of a table or of its partitions."""


def run(rig: Rig) -> list[Table]:
    return asyncio.run(_measure(rig.fresh()))


async def _measure(settings: Settings) -> list[Table]:
    names = Names(settings.namespace)
    connection = await connect(settings.postgres, names, "bench")
    try:
        await migrate(connection, names)
        on_topics = [0, 0, 0]
        for begin in range(0, MESSAGES, BATCH):
            first = [first_version(number) for number in range(begin, begin + BATCH)]
            second = [
                second_version(one) for number, one in enumerate(first, begin) if is_image(number)
            ]
            receipt = _receipt(first)
            await _store(connection, first, second, decode(Receipt, receipt))
            on_topics[0] += sum(len(raw_record(n).value) for n in range(begin, begin + BATCH))
            on_topics[1] += sum(len(encode(one)) for one in (*first, *second))
            on_topics[2] += len(receipt)
        return [await _tables(connection), _topics(on_topics)]
    finally:
        await connection.execute(f'DROP SCHEMA "{names.postgres_schema}" CASCADE')
        await connection.close()


def _receipt(messages: list[EnrichedMessage]) -> bytes:
    lines = [
        Line(offset, message.message_key.encode(), 0, "forwarded", "", 0)
        for offset, message in enumerate(messages)
    ]
    (value,) = Ledger("dedupe", "raw-messages", 0).receipts(Span(0, len(lines)), lines)
    return value


async def _store(
    connection: "asyncpg.Connection[asyncpg.Record]",
    first: list[EnrichedMessage],
    second: list[EnrichedMessage],
    receipt: Receipt,
) -> None:
    for messages in (first, second):
        async with connection.transaction():
            await prepare_staging(connection)
            await store_messages(connection, message_rows(messages))
    await add_arrivals(connection, arrivals([receipt]))


async def _tables(connection: "asyncpg.Connection[asyncpg.Record]") -> Table:
    figures = []
    for table in TABLES:
        heap, whole = [
            await connection.fetchval(_SIZE.format(size=size), table) / MESSAGES
            for size in ("pg_table_size", "pg_total_relation_size")
        ]
        figures.append(Figure(name=table, runs=[whole], note=f"{whole - heap:.0f} of it indexes"))
    figures.append(Figure(name="all tables", runs=[sum(one.median for one in figures)]))
    return Table(bench="sizing", title="Postgres", unit="bytes/message", figures=figures)


def _topics(sums: list[int]) -> Table:
    names = ("raw-messages", "enriched-messages", "receipts of dedupe")
    return Table(
        bench="sizing",
        title="topics, values before compression",
        unit="bytes/message",
        figures=[
            Figure(name=name, runs=[total / MESSAGES])
            for name, total in zip(names, sums, strict=True)
        ],
    )
