"""Statements that must not read a whole table, on tables that are large enough to show it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.sql import queries
from tests.integration.databases import Connection, schema
from tests.integration.plans import plan, walked

ROWS, TENANTS = 200_000, 5_000
NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOUR = timedelta(hours=1)
_FILL = (
    """INSERT INTO chat_messages (tenant_id, message_key, provider, conversation_id, role, direction, kind,
        content_attributes, status, version, occurred_at, received_at, enriched_at)
    SELECT 't' || n % 500, 't' || n % 500 || ':ycloud:' || n, 'ycloud', 'c' || n % 9000, 'user', 'inbound', 'text',
        '{}', 'complete', 1, at, at, at
    FROM generate_series(1, $1::int) AS n, LATERAL (SELECT $2::timestamptz - n * interval '2 seconds' AS at) AS times""",
    """INSERT INTO media_objects (tenant_id, object_key, message_key, attachment_index, sha256, mime_type, bytes,
        original_url, stored_at)
    SELECT 't' || n % 500, 'media/t' || n % 500 || '/' || n, 'k' || n, 0, 'ab', 'image/jpeg', 5, '',
        $2::timestamptz - n * interval '2 seconds'
    FROM generate_series(1, $1::int) AS n""",
    """INSERT INTO inbound_messages (tenant_id, provider, provider_message_id, message_key, topic, partition, "offset",
        received_at)
    SELECT 't' || n % 500, 'ycloud', n::text, 'k' || n, 'raw-messages', n % 12, n, $2::timestamptz
    FROM generate_series(1, $1::int) AS n""",
    """INSERT INTO arrival_records (tenant_id, provider, provider_message_id, topic, partition, "offset", received_at, outcome, reason, deliveries)
    SELECT 't' || n % 500, 'ycloud', n::text, 'raw-messages', n % 12, n, $2::timestamptz, 'forwarded', '', 1
    FROM generate_series(1, $1::int) AS n""",
    """INSERT INTO erased_messages (tenant_id, key_digest)
    SELECT 't' || n % 500, sha256(n::text::bytea) FROM generate_series(1, $1::int) AS n""",
    """INSERT INTO quarantined_messages (tenant_id, stage, reason, detail, record_key, topic, partition, "offset",
        created_at, state, program_version)
    SELECT 't' || n % 500, CASE WHEN n % 5 = 0 THEN 'store_media' ELSE 'dedupe' END, 'not_json', '', 'k', 'raw-messages',
        n % 12, n, $2::timestamptz, CASE WHEN n % 100 = 0 THEN 'new' ELSE 'dismissed' END, '1'
    FROM generate_series(1, $1::int) AS n""",
)
_FILL_TENANTS = (
    "INSERT INTO tenants (tenant_id, settings) SELECT 't' || n, '' FROM generate_series(1, $1::int) AS n",
    """INSERT INTO webhook_endpoints (tenant_id, endpoint_id, provider, token_sha256, sealed)
    SELECT 't' || n, 'ep' || n, 'ycloud', sha256(n::text::bytea), '' FROM generate_series(1, $1::int) AS n""",
    """INSERT INTO api_keys (tenant_id, key_sha256, scope)
    SELECT 't' || n, sha256(n::text::bytea), 'read' FROM generate_series(1, $1::int) AS n""",
)
_LARGE = (
    "chat_messages",
    "media_objects",
    "inbound_messages",
    "arrival_records",
    "erased_messages",
    "quarantined_messages",
    "tenants",
    "webhook_endpoints",
    "api_keys",
    "directory_changes",
)
_SOME = [f"t{n}" for n in range(100)]
STATEMENTS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("audit", "rows"): (NOW - HOUR, NOW, None),
    ("audit", "rows_of"): (_SOME, [f"t{n}:ycloud:{n}" for n in range(100)]),
    ("audit", "arrivals_of"): (_SOME, ["ycloud"] * 100, [str(n) for n in range(100)]),
    ("audit", "objects"): (NOW - HOUR, NOW, None),
    ("audit", "objects_of"): (_SOME, [f"media/t{n}/{n}" for n in range(100)]),
    ("audit", "quarantined_of"): (
        ["dedupe"] * 100,
        ["raw-messages"] * 100,
        [n % 12 for n in range(100)],
        list(range(100)),
    ),
    ("orphans", "shown"): (_SOME, [f"media/t{n}/{n}" for n in range(100)]),
    ("orphans", "undecided_tenants"): (_SOME[:10],),
    ("erased", "some_erased"): (None, "t3", b"", 10_000),
    ("erased", "about_erased"): (),
    ("directory", "tenants_of"): (_SOME[:3],),
    ("directory", "endpoints_of"): (_SOME[:3],),
    ("directory", "keys_of"): (_SOME[:3],),
}


@asynccontextmanager
async def filled(settings: Settings, names: Names) -> AsyncIterator[Connection]:
    async with schema(settings.postgres, names) as connection:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute(queries("retention")["make_weeks"], NOW.date())
        for statement in _FILL:
            await connection.execute(statement, *_arguments(statement, ROWS))
        for statement in _FILL_TENANTS:
            await connection.execute(statement, TENANTS)
        await connection.execute(f"VACUUM ANALYZE {', '.join(_LARGE)}")
        yield connection


def _arguments(statement: str, rows: int) -> tuple[Any, ...]:
    return (rows, NOW) if "$2" in statement else (rows,)


async def large_of(connection: Connection) -> set[str]:
    """The tables with many rows, one of which is the week of the arrivals."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
        " AND relkind = 'r' AND reltuples >= $1",
        TENANTS,
    )
    return {row["relname"] for row in rows}


async def test_every_statement_finds_what_it_is_asked_for_by_an_index(
    stack: Settings, namespace: str
) -> None:
    async with filled(stack, Names(namespace)) as connection:
        large, walks = await large_of(connection), {}
        (week,) = large - set(_LARGE)
        assert large >= set(_LARGE) - {"arrival_records"} and week.startswith("arrival_records_2")
        for (file, name), arguments in STATEMENTS.items():
            found = await plan(connection, queries(file)[name], *arguments)
            walks[file, name] = walked(found) & large
        mark = await connection.fetchval(queries("directory")["mark"])
        changed_since = queries("directory")["changed_since"]
        found = await plan(connection, changed_since, mark)
        walks["directory", "changed_since"] = walked(found) & large
        assert await connection.fetch(changed_since, mark) == []
        of_one = await plan(connection, queries("erased")["some_erased"], "t3", "t3", b"", 10_000)
        walks["erased", "some_erased of a tenant"] = walked(of_one) & large
        assert {name: tables for name, tables in walks.items() if tables} == {}
        for table, statement in (
            ("media_objects", "SELECT FROM media_objects WHERE object_key = $1"),
            (week, "SELECT FROM arrival_records WHERE topic = $1"),
        ):
            walking = await plan(connection, statement, "x")
            assert walked(walking) & large == {table}, "a walk is seen"


def test_every_statement_of_the_tools_for_large_tables_is_looked_at() -> None:
    small = {("audit", "positions")}
    there = {(file, name) for file in ("audit", "orphans") for name in queries(file)}
    there |= {("erased", name) for name in ("some_erased", "about_erased")}
    assert there - small == {name for name in STATEMENTS if name[0] != "directory"}
