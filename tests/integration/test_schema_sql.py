"""The migrations make what schema.sql says, once each, and leave a newer database alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from schemas.settings import Postgres, Settings
from schemas.topics import Names
from storage.postgres import migrate as migrating
from storage.postgres.migrate import DatabaseAhead, migrate, migrations, pending
from tests.integration.databases import SCHEMA_SQL, Connection, connected, migrated_schema, schema


@pytest.fixture
async def migrated(stack: Settings, names: Names) -> AsyncIterator[Connection]:
    async with migrated_schema(stack.postgres, names) as connection:
        yield connection


async def shape(connection: Connection, of: str) -> dict[str, set[str]]:
    """Everything in a schema, as text that does not contain the schema's name."""
    asked = {
        "columns": "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default, is_identity, identity_generation) "
        "FROM information_schema.columns WHERE table_schema = $1",
        "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = $1",
        "constraints": "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = $1::regnamespace",
        "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN "
        "(SELECT oid FROM pg_class WHERE relnamespace = $1::regnamespace)",
        "views": "SELECT concat_ws(' ', viewname, definition) FROM pg_views WHERE schemaname = $1",
        "options": "SELECT concat_ws(' ', relname, relkind, reloptions::text) FROM pg_class WHERE relnamespace = $1::regnamespace",
        "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = $1::regnamespace",
    }
    found = {
        what: {row[0] for row in await connection.fetch(sql, of)} for what, sql in asked.items()
    }
    return {
        what: {text.replace(f"{of}.", "") for text in texts if "schema_migrations" not in text}
        for what, texts in found.items()
    }


async def shape_of_schema_sql(settings: Postgres, names: Names, text: str) -> dict[str, set[str]]:
    written = Names(f"{names.namespace}-written")
    async with connected(settings, written) as connection:
        await connection.execute(f'CREATE SCHEMA "{written.postgres_schema}"')
        try:
            await connection.execute(text)
            return await shape(connection, written.postgres_schema)
        finally:
            await connection.execute(f'DROP SCHEMA "{written.postgres_schema}" CASCADE')


async def test_the_migrations_make_what_schema_sql_says(
    stack: Settings, names: Names, migrated: Connection
) -> None:
    made = await shape(migrated, names.postgres_schema)
    assert made == await shape_of_schema_sql(stack.postgres, names, SCHEMA_SQL)
    assert all(made.values())


async def rows_of(connection: Connection, of: str) -> dict[str, list[str]]:
    """Maps each table to its rows as text, without their times."""
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", of)
    return {
        table: sorted(
            row[0]
            for row in await connection.fetch(
                f"SELECT (to_jsonb(each) - 'applied_at')::text FROM \"{table}\" AS each"
            )
        )
        for (table,) in tables
    }


async def test_the_quick_schema_of_tests_is_that_of_the_migrations(
    stack: Settings, names: Names, migrated: Connection
) -> None:
    quick = Names(f"{names.namespace}-quick")
    async with schema(stack.postgres, quick) as connection:
        assert await shape(connection, quick.postgres_schema) == await shape(
            migrated, names.postgres_schema
        )
        found = await rows_of(connection, quick.postgres_schema)
        assert found == await rows_of(migrated, names.postgres_schema)
    assert len(found["feed_eras"]) == 1 and len(found["schema_migrations"]) == len(migrations())


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("columns", SCHEMA_SQL + "ALTER TABLE ai_usage ADD COLUMN more text;"),
        ("columns", SCHEMA_SQL + "ALTER TABLE chat_messages ALTER COLUMN content SET NOT NULL;"),
        ("indexes", SCHEMA_SQL + "DROP INDEX chat_messages_pending;"),
        (
            "constraints",
            SCHEMA_SQL + "ALTER TABLE chat_messages DROP CONSTRAINT chat_messages_content_check;",
        ),
        ("triggers", SCHEMA_SQL + "DROP TRIGGER tenants_changed ON tenants;"),
        ("functions", SCHEMA_SQL.replace("RETURN NULL", "RETURN OLD")),
        ("views", SCHEMA_SQL + "CREATE VIEW more AS SELECT 1 AS one;"),
        ("options", SCHEMA_SQL + "ALTER TABLE tenants SET (fillfactor = 50);"),
    ],
)
async def test_a_difference_between_migrations_and_schema_sql_is_seen(
    what: str, changed: str, stack: Settings, names: Names, migrated: Connection
) -> None:
    made, other = (
        await shape(migrated, names.postgres_schema),
        await shape_of_schema_sql(stack.postgres, names, changed),
    )
    assert made[what] != other[what]


async def test_every_table_but_those_of_the_installation_begins_its_key_with_the_tenant(
    names: Names, migrated: Connection
) -> None:
    keys = await migrated.fetch(
        "SELECT conrelid::regclass::text AS of, pg_get_constraintdef(oid) AS is FROM pg_constraint WHERE contype = 'p' AND connamespace = $1::regnamespace",
        names.postgres_schema,
    )
    others = {row["of"] for row in keys if not row["is"].startswith("PRIMARY KEY (tenant_id")}
    assert others == {
        "schema_migrations",
        "sink_offsets",
        "generations",
        "audit_log",
        "stage_stops",
        "stage_minutes",
        "people",
        "people_sessions",
        "login_links",
        "login_failures",
        "feed_eras",
    }


async def test_migrating_again_changes_nothing(names: Names, migrated: Connection) -> None:
    before = await shape(migrated, names.postgres_schema)
    assert await migrate(migrated, names) == []
    assert await shape(migrated, names.postgres_schema) == before
    assert await pending(migrated) == []


async def test_two_that_migrate_at_once_apply_each_migration_once(
    stack: Settings, names: Names
) -> None:
    async with connected(stack.postgres, names) as one, connected(stack.postgres, names) as two:
        try:
            applied = await asyncio.gather(migrate(one, names), migrate(two, names))
            assert sorted(name for names_ in applied for name in names_) == [
                migration.name for migration in migrations()
            ]
        finally:
            await one.execute(f'DROP SCHEMA "{names.postgres_schema}" CASCADE')


async def test_a_database_from_which_a_newer_program_took_something_away_is_left_alone(
    names: Names, migrated: Connection
) -> None:
    await migrated.execute(
        "INSERT INTO schema_migrations (name, sha256) VALUES ('9999_later.post', 'x')"
    )
    with pytest.raises(DatabaseAhead, match=r"9999_later\.post"):
        await migrate(migrated, names)


async def test_a_program_works_with_a_database_that_a_newer_one_expanded(
    names: Names, migrated: Connection
) -> None:
    await migrated.execute(
        "INSERT INTO schema_migrations (name, sha256) VALUES ('9999_later', 'x')"
    )
    assert await migrate(migrated, names) == []


async def test_a_migration_that_was_changed_after_it_was_applied_is_refused(
    names: Names, migrated: Connection
) -> None:
    await migrated.execute(
        "UPDATE schema_migrations SET sha256 = 'x' WHERE name = $1", migrations()[0].name
    )
    with pytest.raises(DatabaseAhead, match=migrations()[0].name):
        await migrate(migrated, names)


async def test_a_migration_that_fails_leaves_nothing_behind(
    names: Names, migrated: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for migration in migrations():
        (tmp_path / f"{migration.name}.sql").write_text(migration.sql)
    (tmp_path / "9999_broken.sql").write_text(
        "CREATE TABLE half_done (a text); SELECT no_such_column;"
    )
    monkeypatch.setattr(migrating, "MIGRATIONS_DIR", tmp_path)
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(migrated, names)
    assert await migrated.fetchval("SELECT to_regclass('half_done')") is None
    assert [migration.name for migration in await pending(migrated)] == ["9999_broken"]
