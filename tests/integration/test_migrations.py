"""Migrations of a database that is in use."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres import migrate as migrating
from storage.postgres.migrate import Migration, migrate, migrations, pending
from storage.postgres.pool import SessionLimits, connect_directly
from tests.integration.databases import Connection, migrated_schema, pooled, schema
from tests.integration.waiting import until

LARGE = ("chat_messages", "inbound_messages", "message_steps", "media_objects")
LOCK_SECONDS = 0.3
STALL_SECONDS = 10.0
"""How long a writer may wait while a step runs: LOCK_SECONDS, and more on a busy machine.

A step without a limit would wait for the reader of these tests as long as they run, and
the writers would wait behind it.
"""
EXPANDS_SINCE = "0009"
TAKES_AWAY = re.compile(
    r"\bDROP (TABLE|COLUMN|CONSTRAINT|FUNCTION|VIEW)\b|\bRENAME\b|\bSET NOT NULL\b|\bTYPE\b", re.I
)
BUILDS = re.compile(r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)[\w\s]*?\bON (\w+)", re.I)
NEW = [one for one in migrations() if one.name >= EXPANDS_SINCE]


@pytest.mark.parametrize("migration", NEW, ids=lambda one: one.name)
def test_a_step_before_the_roll_out_takes_nothing_away(migration: Migration) -> None:
    sql = "\n".join(line for line in migration.sql.splitlines() if not line.startswith("--"))
    assert migration.is_post or not TAKES_AWAY.search(sql), (
        f"programs of the version before would fail: call it {migration.name}.post.sql"
    )


@pytest.mark.parametrize("migration", NEW, ids=lambda one: one.name)
def test_an_index_on_a_large_table_is_built_while_others_write(migration: Migration) -> None:
    on = {index[1] for index in BUILDS.finditer(migration.sql)}
    assert not on & set(LARGE), f"begin with {migrating.OUTSIDE!r}, and CREATE INDEX CONCURRENTLY"


@pytest.fixture(autouse=True)
def lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock for this test. The usual one would also keep apart the migrations of other tests."""
    monkeypatch.setattr(migrating, "_LOCK", secrets.randbits(31))


@contextmanager
def files(folder: Path, monkeypatch: pytest.MonkeyPatch, **more: str) -> Iterator[None]:
    """The program's migrations and some more; `__` in a name stands for `.`."""
    for one in migrations():
        (folder / f"{one.name}.sql").write_text(one.sql)
    for name, sql in more.items():
        (folder / f"{name.replace('__', '.')}.sql").write_text(sql)
    with monkeypatch.context() as patched:
        patched.setattr(migrating, "MIGRATIONS_DIR", folder)
        yield


@asynccontextmanager
async def writing(pool: "asyncpg.Pool[asyncpg.Record]") -> AsyncIterator[list[float]]:
    """Writes into the large tables as programs of any version do, and notes how long it took."""
    stalls: list[float] = []

    async def write() -> None:
        while True:
            began = time.monotonic()
            async with pool.acquire() as connection, connection.transaction():
                number = f"w{len(stalls)}"
                await connection.execute(
                    "INSERT INTO chat_messages (tenant_id, message_key, provider, conversation_id, role, direction, kind, content_attributes, status, version, "
                    "occurred_at, received_at, enriched_at) VALUES ('acme', $1, 'p', 'c', 'user', 'inbound', 'text', '{}', 'complete', 1, now(), now(), now())",
                    number,
                )
                await connection.execute(
                    'INSERT INTO inbound_messages (tenant_id, provider, provider_message_id, message_key, topic, partition, "offset", received_at) '
                    "VALUES ('acme', 'p', $1, $1, 't', 0, 0, now())",
                    number,
                )
                await connection.execute(
                    'INSERT INTO message_steps (tenant_id, message_key, stage, topic, partition, "offset", outcome, at) '
                    "VALUES ('acme', $1, 's', 't', 0, 0, 'o', now())",
                    number,
                )
                await connection.execute(
                    "INSERT INTO media_objects (tenant_id, object_key, message_key, attachment_index, sha256, mime_type, bytes, original_url, stored_at) "
                    "VALUES ('acme', $1, $1, 0, '', '', 0, '', now())",
                    number,
                )
            stalls.append(time.monotonic() - began)

    task = asyncio.create_task(write())
    try:
        await until(lambda: len(stalls) > 3)
        yield stalls
        seen = len(stalls)
        await until(lambda: task.done() or len(stalls) > seen)
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def before(
    settings: Settings, names: Names, first: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Connection]:
    """A database as it was before the migration `first`, with short waits for locks."""
    folder.mkdir()
    (folder / "none.txt").write_text("SELECT 1;")
    for one in migrations():
        if one.name < first:
            (folder / f"{one.name}.sql").write_text(one.sql)
    with monkeypatch.context() as patched:
        patched.setattr(migrating, "MIGRATIONS_DIR", folder)
        patched.setattr(migrating, "COMMENTS_FILE", folder / "none.txt")
        async with migrated_schema(settings.postgres, names):
            patched.undo()
            limits = SessionLimits(statement_seconds=0, lock_seconds=LOCK_SECONDS)
            connection = await connect_directly(settings.postgres, names, "test", limits)
            try:
                yield connection
            finally:
                await connection.close()


async def test_every_step_runs_while_programs_write(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = Names(namespace)
    async with (
        before(stack, names, EXPANDS_SINCE, tmp_path / "old", monkeypatch) as connection,
        pooled(stack.postgres, names) as pool,
        writing(pool) as stalls,
    ):
        assert await migrate(connection, names, finish=True) == [one.name for one in NEW]
    assert max(stalls) < STALL_SECONDS


async def test_a_step_that_waits_behind_a_long_reader_does_not_stop_the_writers(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names, tries = Names(namespace), list[str]()
    alter = "ALTER TABLE chat_messages ADD COLUMN later text;"
    async with (
        before(stack, names, "9999", tmp_path / "old", monkeypatch) as connection,
        pooled(stack.postgres, names) as pool,
        pool.acquire() as reader,
    ):
        (tmp_path / "new").mkdir()
        with files(tmp_path / "new", monkeypatch, **{"9998_later": alter}):
            async with reader.transaction(), writing(pool) as stalls:
                await reader.fetch("SELECT 1 FROM chat_messages LIMIT 1")
                migration = asyncio.create_task(migrate(connection, names, say=tries.append))

                async def tried_twice() -> bool:
                    await reader.fetchval("SELECT 1")  # an idle transaction would be ended
                    return len(tries) >= 2

                await until(tried_twice, 60)
                assert not migration.done()
            assert await migration == ["9998_later"]
        assert max(stalls) < STALL_SECONDS


async def test_an_index_outlasts_an_older_transaction_and_is_built_once(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = Names(namespace)
    build = f"{migrating.OUTSIDE}CREATE INDEX CONCURRENTLY IF NOT EXISTS later ON chat_messages (tenant_id);\n"
    waits = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'virtualxid' "
        "AND clock_timestamp() - state_change > $2 * interval '1 second')"
    )
    monkeypatch.setattr(migrating, "LOCK_TRIES", 1)
    async with (
        before(stack, names, "9999", tmp_path / "old", monkeypatch) as connection,
        pooled(stack.postgres, names) as pool,
        pool.acquire() as backup,
    ):
        (tmp_path / "new").mkdir()
        with files(tmp_path / "new", monkeypatch, **{"9998_later": build}):
            async with backup.transaction(isolation="repeatable_read"):
                await backup.fetch("SELECT 1 FROM chat_messages LIMIT 1")
                pid = connection.get_server_pid()
                migration = asyncio.create_task(migrate(connection, names))

                async def has_waited() -> bool:
                    await backup.fetchval("SELECT 1")  # an idle transaction would be ended
                    found: bool = await pool.fetchval(waits, pid, 3 * LOCK_SECONDS)
                    return found or migration.done()

                await until(has_waited)
                assert not migration.done(), migration.exception()
            assert await migration == ["9998_later"]
        seconds = await connection.fetchval("SHOW lock_timeout")
        assert seconds == f"{LOCK_SECONDS * 1000:g}ms"


async def test_an_index_that_a_crash_left_half_built_is_built_again(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = Names(namespace)
    build = (
        f"{migrating.OUTSIDE}-- Why; and how.\nCREATE INDEX CONCURRENTLY IF NOT EXISTS later\n"
        "    ON chat_messages (tenant_id);  -- a word\nCREATE TABLE IF NOT EXISTS other (a text);\n"
    )
    async with schema(stack.postgres, names) as database, pooled(stack.postgres, names) as pool:
        async with pool.acquire() as writer, writer.transaction():
            await writer.execute("LOCK TABLE chat_messages IN ROW EXCLUSIVE MODE")
            half = "CREATE INDEX CONCURRENTLY later ON chat_messages (tenant_id)"
            building, pid = asyncio.create_task(database.execute(half)), database.get_server_pid()
            waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
            await until(lambda: pool.fetchval(waits, pid))
            await pool.execute("SELECT pg_cancel_backend($1)", pid)
            with pytest.raises(asyncpg.QueryCanceledError):
                await building
        is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'later'::regclass"
        assert await database.fetchval(is_valid) is False
        with files(tmp_path, monkeypatch, **{"9998_later": build}):
            assert await migrate(database, names) == ["9998_later"]
        assert await database.fetchval(is_valid) is True
        assert await database.fetchval("SELECT to_regclass('other')") is not None


async def test_what_older_programs_use_goes_only_after_the_roll_out(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = Names(namespace)
    more = {
        "9997_take__post": "ALTER TABLE ai_usage DROP COLUMN calls;",
        "9998_add": "ALTER TABLE ai_usage ADD COLUMN more text;",
    }
    async with schema(stack.postgres, names) as database:
        with files(tmp_path, monkeypatch, **more):
            assert await migrate(database, names) == ["9998_add"]
            assert [one.name for one in await pending(database)] == ["9997_take.post"]
            assert await migrate(database, names, finish=True) == ["9997_take.post"]
            assert await pending(database) == []
