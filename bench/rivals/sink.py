"""Measures the sink beside Kafka Connect with Debezium's JDBC sink, and beside COPY.

All of them write the same new messages and second versions. The rivals write one table
with the columns, indexes and defaults of chat_messages. The sink writes that one, the
arrivals, the steps and its position.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from bench.figures import Figure, Pace, Table, ratio
from bench.rig import BenchFailed, BenchRecord, Rig, Worker, committed, fill
from bench.rivals import parts
from bench.rivals.measured import ROUNDS, WARMING, Goal, Sides, count
from bench.sink import first_version, second_version, sink_record
from schemas.records import EnrichedMessage
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import connect
from streams.local.lifecycle import sensorium
from streams.local.ports import free_port

ROWS = 60_000
OURS, CONNECT, COPY = "sink, all its tables", "Kafka Connect, one table", "COPY, one table"
NEW, SECOND = "new messages", "second versions"
TABLE = "rows_of_connect"
COLUMNS = (
    "tenant_id",
    "message_key",
    "provider",
    "conversation_id",
    "role",
    "direction",
    "kind",
    "content",
    "content_attributes",
    "status",
    "version",
    "occurred_at",
    "received_at",
    "enriched_at",
    "sender_id",
    "sender_name",
    "endpoint_id",
)
"""Columns of chat_messages, which are also attributes of an EnrichedMessage."""
KEY = ("tenant_id", "message_key")
_TIMES = ("occurred_at", "received_at", "enriched_at")
_NULLABLE = ("content", "sender_id", "sender_name", "endpoint_id")
_GOALS = (Goal(OURS, CONNECT, 2.0, is_jvm=True),)
_COPY_GOAL = 0.5


def run(rig: Rig) -> list[Table]:
    versions = {NEW: _messages(first_version)}
    versions[SECOND] = list(map(second_version, versions[NEW]))
    sides = {what: Sides() for what in versions}
    copies: list[float] = []
    for _ in range(ROUNDS):
        ours, theirs = rig.fresh(), rig.fresh()
        for settings in (ours, theirs):
            sensorium(settings, "migrate")
        asyncio.run(_execute(theirs, f"CREATE TABLE {TABLE} (LIKE chat_messages INCLUDING ALL)"))
        for number, (what, messages) in enumerate(versions.items()):
            already = number * len(messages)
            sides[what].add(OURS, _sink(rig, ours, messages, already))
            sides[what].add(CONNECT, _connect(rig, theirs, messages, already))
        copies.append(asyncio.run(_copy(theirs, versions[NEW])))
        print(f"  {COPY}: {copies[-1]:,.0f}/s", flush=True)
    return [table for what, measured in sides.items() for table in _tables(what, measured, copies)]


def _tables(what: str, sides: Sides, copies: list[float]) -> list[Table]:
    rates, *others = sides.tables(f"sink, {what}", "messages/s", _GOALS)
    copy = Figure(name=COPY, runs=copies)
    rates.figures.append(copy)
    goal = _COPY_GOAL if what == NEW else 0.0  # COPY cannot update
    rates.ratios.append(ratio(f"{OURS} : {COPY}", rates.figures[0], copy, at_least=goal))
    return [rates, *others]


def _messages(version: Any) -> list[EnrichedMessage]:
    return [version(number) for number in range(count(ROWS))]


def _sink(rig: Rig, settings: Settings, messages: list[EnrichedMessage], already: int) -> Pace:
    names = Names(settings.namespace)
    topic = names.topic("enriched-messages")
    fill(settings.kafka, topic, (sink_record(one, settings.kafka.partitions) for one in messages))
    done = committed(settings.kafka, names.group("sink"), topic)
    with rig.process(settings, "streams.commands.main", "sink") as worker:
        total = len(messages)
        return worker.pace(lambda: max(0, done() - already), total, total, warming=WARMING)


def _connect(rig: Rig, settings: Settings, messages: list[EnrichedMessage], already: int) -> Pace:
    # An existing topic that is not used otherwise.
    topic = Names(settings.namespace).topic("audio")
    fill(settings.kafka, topic, (connect_record(one) for one in messages))
    done = committed(settings.kafka, f"connect-{_name(settings)}", topic)
    with _worker(rig, settings, topic) as worker:
        total = len(messages)
        pace = worker.pace(lambda: max(0, done() - already), total, total, warming=WARMING)
    query = f"SELECT count(*) FROM {TABLE} WHERE version >= {messages[0].version}"
    rows = asyncio.run(_value(settings, query))
    if rows != total:
        raise BenchFailed(f"Kafka Connect stored {rows} of {total} rows")
    return pace


def connect_record(message: EnrichedMessage) -> BenchRecord:
    """The message as JSON, with the columns of chat_messages."""
    row = {name: getattr(message, name) for name in COLUMNS}
    row |= {name: f"{row[name]:%Y-%m-%dT%H:%M:%S.%fZ}" for name in _TIMES}
    return BenchRecord(message.message_key.encode(), json.dumps(row).encode(), [])


def connect_schema() -> dict[str, Any]:
    """The schema for the converter, which is configured once instead of sent with every record."""
    kinds: dict[str, dict[str, str]] = {
        "version": {"type": "int64"},
        "content_attributes": {"type": "string", "name": "io.debezium.data.Json"},
        **{name: {"type": "string", "name": "io.debezium.time.ZonedTimestamp"} for name in _TIMES},
    }
    fields = [
        {"field": name, "optional": name in _NULLABLE, **kinds.get(name, {"type": "string"})}
        for name in COLUMNS
    ]
    return {"type": "struct", "name": "row", "optional": False, "fields": fields}


def _name(settings: Settings) -> str:
    return f"{settings.namespace}-rows"


@contextmanager
def _worker(rig: Rig, settings: Settings, topic: str) -> Iterator[Worker]:
    """Runs a standalone worker with one task, tuned as its users do.

    It writes large batches, each rewritten to one statement.
    """
    folder = rig.folder / _name(settings)
    folder.mkdir(exist_ok=True)
    files = {
        "worker.properties": _worker_properties(settings, folder),
        "sink.properties": _sink_properties(settings, topic),
    }
    for name, properties in files.items():
        lines = (f"{key}={value}\n" for key, value in properties.items())
        (folder / name).write_text("".join(lines))
    logging = folder / "log4j2.yaml"
    logging.write_text(parts.LOGGING)
    command = [
        parts.java(),
        *parts.HEAP,
        f"-Dlog4j2.configurationFile={logging}",
        "-cp",
        f"{parts.connect(print)}/*",
        "org.apache.kafka.connect.cli.ConnectStandalone",
        *(str(folder / name) for name in files),
    ]
    with rig.program(_name(settings), command, os.environ) as worker:
        yield worker


def _worker_properties(settings: Settings, folder: Path) -> dict[str, str]:
    plugins = folder / "plugins"
    plugins.mkdir(exist_ok=True)
    plugin = plugins / "debezium-jdbc"  # each folder in the path is one plugin
    if not plugin.is_symlink():
        plugin.symlink_to(parts.debezium_jdbc(print))
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": json.dumps(connect_schema()),
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "200",
        "plugin.path": str(plugins),
        "plugin.discovery": "service_load",
        "listeners": f"http://127.0.0.1:{free_port(set())}",
        "consumer.max.poll.records": "3000",
        "consumer.auto.offset.reset": "earliest",
    }


def _sink_properties(settings: Settings, topic: str) -> dict[str, str]:
    user, _, rest = str(settings.postgres.dsn).partition("://")[2].partition(":")
    password, _, address = rest.partition("@")
    schema = Names(settings.namespace).postgres_schema
    options = f"reWriteBatchedInserts=true&currentSchema={schema}"
    return {
        "name": _name(settings),
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": topic,
        "connection.url": f"jdbc:postgresql://{address}?{options}",
        "connection.username": user,
        "connection.password": password,
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": ",".join(KEY),
        "schema.evolution": "none",
        "collection.name.format": TABLE,
        "batch.size": "3000",
    }


async def _copy(settings: Settings, messages: list[EnrichedMessage]) -> float:
    """Measures rows per second into an empty table with the same indexes, without any checks."""
    rows = [tuple(getattr(message, name) for name in COLUMNS) for message in messages]
    connection = await _connection(settings)
    try:
        await connection.execute(f"TRUNCATE {TABLE}")
        began = time.monotonic()
        await connection.copy_records_to_table(TABLE, records=rows, columns=COLUMNS)
        return len(rows) / (time.monotonic() - began)
    finally:
        await connection.close()


async def _execute(settings: Settings, statement: str) -> None:
    connection = await _connection(settings)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _value(settings: Settings, query: str) -> Any:
    connection = await _connection(settings)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def _connection(settings: Settings) -> "asyncpg.Connection[asyncpg.Record]":
    return await connect(settings.postgres, Names(settings.namespace), "bench")
