import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from cryptography.fernet import Fernet

from schemas.keys import TenantId
from schemas.models import Answer
from schemas.outcomes import Unavailable
from schemas.settings import Postgres, Secret, Settings
from schemas.tenants import ApiKey, TenantSettings
from schemas.topics import Names
from storage.postgres import migrate as migrating
from storage.postgres.ai_results import AiResults
from storage.postgres.directory import Directory
from storage.postgres.migrate import DatabaseAhead, migrate, migrations, pending
from storage.postgres.pool import as_unavailable, connect, unavailable
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy, TenancyError
from storage.postgres.vault import Vault, VaultError
from tests.integration.databases import (
    SCHEMA_SQL,
    Connection,
    connected,
    migrated_schema,
    pooled,
    schema,
)
from tests.integration.waiting import until

KNOWN_WITHIN_SECONDS = 25.0
"""Shorter than the time after which a role queries changes without a notification."""
ACME = TenantId("acme")


@pytest.fixture
def names(namespace: str) -> Names:
    return Names(namespace)


@pytest.fixture
async def database(stack: Settings, names: Names) -> AsyncIterator[Connection]:
    async with schema(stack.postgres, names) as connection:
        yield connection


@pytest.fixture
async def migrated(stack: Settings, names: Names) -> AsyncIterator[Connection]:
    async with migrated_schema(stack.postgres, names) as connection:
        yield connection


@pytest.fixture
def vault() -> Vault:
    return Vault(Fernet.generate_key().decode())


# --- migrations


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


# --- the directory


@pytest.fixture
async def directory(
    stack: Settings, names: Names, database: Connection, vault: Vault
) -> AsyncIterator[Directory]:
    opened = Directory(stack.postgres, names, vault)
    await opened.start()
    try:
        async with asyncio.timeout(60):
            await opened.wait_loaded()
        yield opened
    finally:
        await opened.stop()


@pytest.fixture
def tenancy(database: Connection, vault: Vault) -> Tenancy:
    return Tenancy(database, vault)


async def test_what_is_added_is_known_at_once_and_survives_as_it_was_given(
    directory: Directory, tenancy: Tenancy
) -> None:
    await tenancy.add_tenant("acme")
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret="s", unsigned=False, api_key="yk"
    )
    key = await tenancy.add_key("acme", "read")
    assert await until(lambda: directory.key(key) is not None) < KNOWN_WITHIN_SECONDS
    assert (
        directory.endpoint(endpoint.token)
        == endpoint
        == directory.endpoint_by_id(endpoint.endpoint_id)
    )
    assert directory.key(key) == ApiKey(tenant_id=ACME, scope="read")
    assert directory.provider_key(ACME, "ycloud") == "yk"
    assert (
        directory.provider_key(ACME, "chatwoot"),
        directory.provider_key(TenantId("other"), "ycloud"),
    ) == (None, None)
    assert (
        directory.endpoint("other"),
        directory.key("other"),
        directory.tenant(TenantId("other")),
    ) == (None, None, None)


async def test_a_changed_setting_and_a_rotated_secret_are_known_at_once(
    directory: Directory, tenancy: Tenancy
) -> None:
    await tenancy.add_tenant("acme")
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret="old", unsigned=False, api_key=None
    )
    await tenancy.set_tenant("acme", {"language": "es"})
    _, new = await tenancy.rotate(endpoint.token, drop=None)

    def both_known() -> bool:
        tenant, now = directory.tenant(ACME), directory.endpoint(endpoint.token)
        return (
            tenant is not None
            and tenant.settings.language == "es"
            and now is not None
            and now.secrets == (new, "old")
        )

    assert await until(both_known) < KNOWN_WITHIN_SECONDS


async def test_what_is_deleted_is_forgotten_at_once(
    directory: Directory, database: Connection, tenancy: Tenancy
) -> None:
    await tenancy.add_tenant("acme")
    key = await tenancy.add_key("acme", "admin")
    await until(lambda: directory.key(key) is not None)
    await database.execute("DELETE FROM api_keys")
    assert await until(lambda: directory.key(key) is None) < KNOWN_WITHIN_SECONDS


async def test_a_directory_whose_connection_is_cut_continues_and_catches_up(
    stack: Settings,
    names: Names,
    database: Connection,
    vault: Vault,
    tenancy: Tenancy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pids: list[int] = []

    async def noted(*arguments: Any) -> Connection:
        connection = await connect(*arguments)
        pids.append(connection.get_server_pid())
        return connection

    monkeypatch.setattr("storage.postgres.directory.connect_directly", noted)
    await tenancy.add_tenant("acme")
    before = await tenancy.add_key("acme", "read")
    directory = Directory(stack.postgres, names, vault)
    await directory.start()
    try:
        await until(lambda: directory.key(before) is not None)
        for times in (1, 2):
            assert await database.fetchval("SELECT pg_terminate_backend($1)", pids[-1])
            assert directory.loaded and directory.key(before) is not None
            while_away = await tenancy.add_key("acme", "read")
            await until(lambda key=while_away: directory.key(key) is not None)  # type: ignore[misc]
            assert directory.key(before) is not None
            later = await tenancy.add_key("acme", "read")
            assert (
                await until(lambda key=later: directory.key(key) is not None) < KNOWN_WITHIN_SECONDS
            ), "it listens again"  # type: ignore[misc]
            assert len(pids) == times + 1
    finally:
        await directory.stop()


async def test_without_a_database_a_directory_waits_and_says_that_it_is_not_loaded(
    names: Names, vault: Vault
) -> None:
    away = Directory(Postgres(dsn=Secret("postgresql://nobody@127.0.0.1:9/none")), names, vault)
    await away.start()
    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(away.wait_loaded(), 0.5)
        assert (away.loaded, away.endpoint("x")) == (False, None)
    finally:
        await away.stop()


async def test_a_directory_whose_key_opens_nothing_is_loaded_and_not_healthy(
    stack: Settings, names: Names, database: Connection, tenancy: Tenancy
) -> None:
    await tenancy.add_tenant("acme")
    other = Directory(stack.postgres, names, Vault(Fernet.generate_key().decode()))
    await other.start()
    try:
        await asyncio.wait_for(other.wait_loaded(), 60)
        assert not other.healthy
        with pytest.raises(Unavailable, match="SENSORIUM_SECRETS__KEY"):
            other.tenant(ACME)
    finally:
        await other.stop()


# --- the vault


def test_a_new_key_in_front_seals_and_the_old_one_still_opens() -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    before, both, after = Vault(old), Vault(f" {new} , {old},"), Vault(new)
    assert both.open(before.seal(b"secret")) == b"secret"
    assert after.open(both.seal(b"secret")) == b"secret"
    with pytest.raises(VaultError, match="SENSORIUM_SECRETS__KEY"):
        after.open(before.seal(b"secret"))
    assert both.derived_keys("links") == after.derived_keys("links") + before.derived_keys("links")
    assert both.derived_keys("links") != both.derived_keys("else")


@pytest.mark.parametrize("keys", ["", " , ", "short", "Zm9v", f"{'A' * 43}=,broken"])
def test_a_key_that_is_none_is_refused_with_the_name_of_the_setting(keys: str) -> None:
    with pytest.raises(VaultError, match="SENSORIUM_SECRETS__KEY"):
        Vault(keys)


# --- tenancy


async def test_a_tenant_added_again_stays_as_it_was(tenancy: Tenancy, database: Connection) -> None:
    await tenancy.add_tenant("acme")
    await tenancy.set_tenant("acme", {"language": "es", "rate": "2.5"})
    await tenancy.add_tenant("acme")
    assert await tenancy.set_tenant("acme", {"trade": "dental"}) == TenantSettings(
        language="es", rate=2.5, trade="dental"
    )
    assert [
        row["action"] for row in await database.fetch("SELECT action FROM audit_log ORDER BY id")
    ] == ["tenant_added", "tenant_set", "tenant_set"]


@pytest.mark.parametrize(
    "name", ["", "Acme", "-acme", "a b", "a:b", "a/b", "ñ", "a" * 64, "acme\n"]
)
async def test_a_name_that_is_none_is_refused(name: str, tenancy: Tenancy) -> None:
    with pytest.raises(TenancyError):
        await tenancy.add_tenant(name)


async def test_nothing_is_added_to_a_tenant_that_is_not_there(
    tenancy: Tenancy, database: Connection
) -> None:
    for attempt in (
        tenancy.set_tenant("nobody", {"language": "es"}),
        tenancy.add_endpoint("nobody", "ycloud", secret=None, unsigned=False, api_key=None),
        tenancy.add_key("nobody", "read"),
    ):
        with pytest.raises(TenancyError, match="sensorium tenants add nobody"):
            await attempt
    assert await database.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_a_wrong_value_a_wrong_provider_and_an_unknown_token_are_refused(
    tenancy: Tenancy,
) -> None:
    await tenancy.add_tenant("acme")
    for attempt in (
        tenancy.set_tenant("acme", {"rate": "often"}),
        tenancy.add_endpoint("acme", "Y:Cloud", secret=None, unsigned=False, api_key=None),
        tenancy.rotate("unknown", drop=None),
    ):
        with pytest.raises(TenancyError):
            await attempt


async def test_the_last_secret_of_an_endpoint_cannot_be_dropped_nor_an_unknown_one(
    tenancy: Tenancy,
) -> None:
    await tenancy.add_tenant("acme")
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret=None, unsigned=False, api_key=None
    )
    (first,) = endpoint.secrets
    for drop in (first, "unknown"):
        with pytest.raises(TenancyError):
            await tenancy.rotate(endpoint.token, drop=drop)
    _, second = await tenancy.rotate(endpoint.token, drop=None)
    left, new = await tenancy.rotate(endpoint.token, drop=first)
    assert (left.secrets, new, first.startswith("whsec_")) == ((second,), None, True)


async def test_no_token_secret_or_key_is_in_a_table_as_plain_text(
    tenancy: Tenancy, database: Connection
) -> None:
    await tenancy.add_tenant("acme")
    await tenancy.set_tenant("acme", {"openai_key": "sk-theirs"})
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret="tell-nobody", unsigned=False, api_key="yk-theirs"
    )
    key = await tenancy.add_key("acme", "chat")
    for table in ("tenants", "webhook_endpoints", "api_keys", "audit_log"):
        for row in await database.fetch(f"SELECT * FROM {table}"):
            whole = repr(tuple(row)).encode()
            assert not any(
                secret.encode() in whole
                for secret in (endpoint.token, "tell-nobody", "yk-theirs", "sk-theirs", key)
            ), table


async def test_every_generation_is_higher_than_all_before(tenancy: Tenancy) -> None:
    first, second = (
        await tenancy.next_generation("replay", "x"),
        await tenancy.next_generation("replay", "y"),
    )
    assert second > first > 0


async def test_a_generation_is_not_given_again_after_a_restore(
    tenancy: Tenancy, database: Connection
) -> None:
    first = await tenancy.next_generation("replay", "x")
    # The backup is older than the replay, and with it the sequence.
    await database.execute("DELETE FROM generations")
    sequence = "pg_get_serial_sequence('generations', 'generation')"
    await database.execute(f"SELECT setval({sequence}, 1, false)")
    a_minute_later = queries("tenancy")["next_generation"].replace(
        "now()", "(now() + interval '1 minute')"
    )
    assert await database.fetchval(a_minute_later, "replay", "y") > first


async def test_an_older_program_takes_a_generation_beyond_ours(
    tenancy: Tenancy, database: Connection
) -> None:
    taken = await tenancy.next_generation("replay", "x")
    older = "INSERT INTO generations (command, detail) VALUES ('x', '') RETURNING generation"
    assert await database.fetchval(older) > taken


async def test_generations_that_are_taken_at_once_differ(
    stack: Settings, names: Names, database: Connection, vault: Vault
) -> None:
    async with pooled(stack.postgres, names, size=6) as pool:

        async def take() -> int:
            async with pool.acquire() as connection:
                return await Tenancy(connection, vault).next_generation("replay", "x")  # type: ignore[arg-type]

        taken = await asyncio.gather(*(take() for _ in range(12)))
    assert len(set(taken)) == 12


# --- answers of models

ANSWER = Answer("A cat.", "gpt-4o", "recipe", None, 85, 3, 242, 900)
SECOND = Answer("A dog.", "gpt-4o", "recipe", None, 85, 4, 252, 800)
FILE = "ab" * 32
RECIPES = ["recipe"]


async def usage_of(database: Connection) -> list[tuple[Any, ...]]:
    rows = await database.fetch(
        "SELECT tenant_id, kind, model, calls, input_tokens, output_tokens, cost_microusd FROM ai_usage"
    )
    return [tuple(row) for row in rows]


async def test_the_first_answer_is_kept_and_every_paid_call_is_counted(
    stack: Settings, names: Names, database: Connection
) -> None:
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        assert await results.find(ACME, FILE, RECIPES) is None
        assert await results.record(ACME, FILE, "vision", "v1", ANSWER) == ANSWER
        assert await results.record(ACME, FILE, "vision", "v1", SECOND) == ANSWER
        assert await results.find(ACME, FILE, RECIPES) == ANSWER
    assert await usage_of(database) == [("acme", "vision", "gpt-4o", 2, 170, 7, 494)]


async def test_a_call_without_an_answer_is_counted_and_leaves_nothing_to_be_found(
    stack: Settings, names: Names, database: Connection
) -> None:
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        await results.count(ACME, "vision", dataclasses.replace(ANSWER, text=""))
        assert await results.find(ACME, FILE, RECIPES) is None
    assert await usage_of(database) == [("acme", "vision", "gpt-4o", 1, 85, 3, 242)]
    assert await database.fetchval("SELECT count(*) FROM ai_results") == 0


async def test_a_day_with_a_call_of_unknown_price_has_no_sum(
    stack: Settings, names: Names, database: Connection
) -> None:
    unknown = dataclasses.replace(ANSWER, cost_microusd=None)
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        await results.record(ACME, FILE, "vision", "v1", unknown)
        assert await results.find(ACME, FILE, RECIPES) == unknown
        await results.count(ACME, "vision", ANSWER)
    assert await usage_of(database) == [("acme", "vision", "gpt-4o", 2, 170, 6, None)]


@pytest.mark.parametrize(("text", "refused"), [("", True), ("No puedo.", True), ("", False)])
async def test_a_refusal_that_an_earlier_program_recorded_is_not_an_answer(
    text: str, refused: bool, stack: Settings, names: Names, database: Connection
) -> None:
    await database.execute(
        """INSERT INTO ai_results (tenant_id, sha256, recipe, kind, text, refused, model,
               prompt_version, input_tokens, output_tokens, cost_microusd, latency_ms)
           VALUES ('acme', $1, 'recipe', 'vision', $2, $3, 'gpt-4o', 'v1', 0, 0, 0, 0)""",
        FILE,
        text,
        refused,
    )
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        assert await results.find(ACME, FILE, RECIPES) is None
        assert await results.record(ACME, FILE, "vision", "v1", ANSWER) == ANSWER
        assert await results.find(ACME, FILE, RECIPES) == ANSWER


async def test_of_several_recipes_the_first_that_has_an_answer_is_found(
    stack: Settings, names: Names, database: Connection
) -> None:
    later = dataclasses.replace(SECOND, recipe="next")
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        await results.record(ACME, FILE, "vision", "v1", later)
        assert await results.find(ACME, FILE, ["recipe", "next"]) == later
        await results.record(ACME, FILE, "vision", "v1", ANSWER)
        assert await results.find(ACME, FILE, ["recipe", "next"]) == ANSWER
        assert await results.find(ACME, FILE, ["next", "recipe"]) == later


async def test_answers_recorded_at_once_are_one_answer(
    stack: Settings, names: Names, database: Connection
) -> None:
    async with pooled(stack.postgres, names, size=8) as pool:
        results = AiResults(pool)
        returned = await asyncio.gather(
            *(results.record(ACME, FILE, "vision", "v1", one) for one in (ANSWER, SECOND) * 8)
        )
        assert set(returned) == {await results.find(ACME, FILE, RECIPES)}
    assert await database.fetchval("SELECT calls FROM ai_usage") == 16


@pytest.mark.parametrize(
    ("tenant", "file", "recipes"),
    [
        (TenantId("other"), FILE, RECIPES),
        (ACME, "cd" * 32, RECIPES),
        (ACME, FILE, ["else"]),
        (ACME, FILE, []),
    ],
)
async def test_an_answer_is_nobody_elses(
    tenant: TenantId,
    file: str,
    recipes: list[str],
    stack: Settings,
    names: Names,
    database: Connection,
) -> None:
    async with pooled(stack.postgres, names) as pool:
        await AiResults(pool).record(ACME, FILE, "vision", "v1", ANSWER)
        assert await AiResults(pool).find(tenant, file, recipes) is None


async def test_without_a_database_an_answer_waits(names: Names) -> None:
    async with pooled(Postgres(dsn=Secret("postgresql://nobody@127.0.0.1:9/none")), names) as pool:
        for attempt in (
            AiResults(pool).find(ACME, FILE, RECIPES),
            AiResults(pool).record(ACME, FILE, "vision", "v1", ANSWER),
            AiResults(pool).count(ACME, "vision", ANSWER),
        ):
            with pytest.raises(Unavailable) as caught:
                await attempt
            assert caught.value.what == "postgres"


# --- which trouble is whose


async def test_a_connection_ended_by_the_server_is_the_worlds_trouble(
    stack: Settings, names: Names
) -> None:
    connection = await connect(stack.postgres, names, "test")
    # which class it is depends on what the client reads first
    with pytest.raises(Exception) as caught:
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        await connection.execute("SELECT 1")
    assert unavailable(caught.value) is not None
    connection.terminate()


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DeadlockDetectedError(),
        asyncpg.DiskFullError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.AdminShutdownError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.ReadOnlySQLTransactionError(),
        asyncpg.InvalidPasswordError(),
        asyncpg.InvalidAuthorizationSpecificationError(),
        asyncpg.InvalidCatalogNameError(),
        asyncpg.InsufficientPrivilegeError(),
        asyncpg.UndefinedTableError(),
        asyncpg.UndefinedColumnError(),
        asyncpg.InvalidCachedStatementError(),
        asyncpg.InvalidSQLStatementNameError(),
        asyncpg.IdleInTransactionSessionTimeoutError(),
        asyncpg.InternalServerError(),
        asyncpg.UniqueViolationError(),
        asyncpg.NotNullViolationError(),
        asyncpg.ForeignKeyViolationError(),
        asyncpg.InvalidParameterValueError(),
        asyncpg.InterfaceError("pool is closing"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.TargetServerAttributeNotMatched(),
        asyncpg.PostgresError("of a class that nobody has heard of yet"),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_store_of_ours_says_is_not_the_fault_of_a_record(error: Exception) -> None:
    assert unavailable(error) is not None
    with pytest.raises(Unavailable) as raised, as_unavailable():
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DataError(),
        asyncpg.InvalidTextRepresentationError(),
        asyncpg.CharacterNotInRepertoireError(),
        asyncpg.CheckViolationError(),
        asyncpg.ProgramLimitExceededError(),
        ValueError(),
        KeyError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_names_a_value_or_is_a_fault_of_the_program_is_not_waited_for(
    error: Exception,
) -> None:
    assert unavailable(error) is None
    with pytest.raises(type(error)) as caught, as_unavailable():
        raise error
    assert (caught.value, error.__cause__) == (error, None), "it does not come from itself"


async def test_a_password_of_its_own_setting_may_hold_any_character(
    stack: Settings, names: Names
) -> None:
    password = "p@ss:w/ord?#[%41]& '\"\\ ñ"
    role = f"r_{names.postgres_schema}"
    owner = await connect(stack.postgres, names, "test")
    await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD {_literal(password)}")
    address = urlsplit(stack.postgres.dsn)
    dsn = Secret(f"postgresql://{role}@{address.hostname}:{address.port}{address.path}")
    try:
        connection = await connect(Postgres(dsn=dsn, password=Secret(password)), names, "test")
        assert await connection.fetchval("SELECT current_user") == role
        await connection.close()
    finally:
        await owner.execute(f"DROP ROLE {role}")
        await owner.close()


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


async def test_no_token_begins_like_an_option_of_a_command(
    monkeypatch: pytest.MonkeyPatch, tenancy: Tenancy
) -> None:
    drawn = iter(["-p", "-x", "token", "-s", "secret"])
    monkeypatch.setattr("storage.postgres.tenancy.secrets.token_urlsafe", lambda _: next(drawn))
    await tenancy.add_tenant("acme")
    made = await tenancy.add_endpoint("acme", "chatwoot", secret=None, unsigned=False, api_key=None)
    assert (made.token, made.secrets) in (("token", ("secret",)), ("secret", ("token",)))
