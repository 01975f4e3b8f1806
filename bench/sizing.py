"""Measures the size of a message.

It counts its bytes in each table with indexes, and in its records on the topics before
compression.

One message in five has a picture and a second version, in which the picture is stored
and described. All are written as the sink writes them.
"""

import asyncio
import hashlib

import asyncpg
import msgspec

from bench.figures import Figure, Table
from bench.rig import Rig
from bench.sink import first_version, second_version
from bench.traffic import is_image, raw_record
from connectors.postgres.rows import arrivals, message_rows
from connectors.postgres.staging import add_arrivals, prepare_staging, store_messages
from schemas.codec import decode, encode
from schemas.receipts import Ledger, Line, Span
from schemas.records import Attachment, EnrichedMessage, Receipt
from schemas.settings import Settings
from schemas.topics import Names
from storage.objects.keys import object_key, public_path
from storage.postgres.migrate import migrate
from storage.postgres.pool import connect
from storage.postgres.sql import queries
from streams.stages.message import attributes_json, provider_attributes

MESSAGES = 50_000
BATCH = 1_000
FILES = "media_objects"
DESCRIPTION = (
    "A photograph of a printed receipt on a wooden table. It lists three items with their prices, "
    "a total of 48.90 and the date 24 November 2026; the name of the shop at the top is partly "
    "covered by a thumb."
)
TABLES = (
    "chat_messages",
    "arrival_records",
    "conversation_aliases",
    FILES,
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
                _with_files(second_version(one), names.object_prefix)
                for number, one in enumerate(first, begin)
                if is_image(number)
            ]
            receipt = _receipt(first)
            await _store(connection, first, second, decode(Receipt, receipt))
            await connection.fetchval(queries("retention")["merge_words"])  # as the sink does
            on_topics[0] += sum(len(raw_record(n).value) for n in range(begin, begin + BATCH))
            on_topics[1] += sum(len(encode(one)) for one in (*first, *second))
            on_topics[2] += len(receipt)
        return [await _tables(connection), _topics(on_topics)]
    finally:
        await connection.execute(f'DROP SCHEMA "{names.postgres_schema}" CASCADE')
        await connection.close()


def _with_files(message: EnrichedMessage, prefix: str) -> EnrichedMessage:
    """The message once each of its files is stored and described."""
    attachments = tuple(_described(one, message, prefix) for one in message.attachments)
    return msgspec.structs.replace(
        message,
        attachments=attachments,
        content_attributes=attributes_json(attachments, provider_attributes(message)),
    )


def _described(one: Attachment, message: EnrichedMessage, prefix: str) -> Attachment:
    digest = hashlib.sha256(f"{message.message_key} {one.index}".encode()).hexdigest()
    key = object_key(
        prefix, message.tenant_id, message.message_key, one.index, digest, extension="jpg"
    )
    return msgspec.structs.replace(
        one,
        status="described",
        url=public_path(prefix, key),
        object_key=key,
        mime_type="image/jpeg",
        bytes=184_000,
        sha256=digest,
        description=DESCRIPTION,
        model="gpt-4o-mini",
        recipe=digest,
        prompt_version="vision-1",
    )


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
    files = await connection.fetchval(f"SELECT count(*) FROM {FILES}")
    of_files = next(one.median for one in figures if one.name == FILES)
    figures.append(Figure(name=f"{FILES}, for each file", runs=[of_files * MESSAGES / files]))
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
