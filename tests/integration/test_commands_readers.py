"""A role for readers may read the rows of its namespace, and nothing else."""

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import asyncpg
import msgspec
import pytest

from schemas.settings import Settings
from storage.postgres import migrate as migrating
from storage.postgres.migrate import migrate
from storage.postgres.readers import READABLE
from tests.integration.commands import Commands, store
from tests.integration.console import row
from tests.integration.databases import Connection


@pytest.fixture
def installed(stack: Settings, namespace: str) -> Iterator[Commands]:
    made = Commands(msgspec.structs.replace(stack, namespace=namespace), {})
    made.json("migrate")
    made.json("tenants", "add", "acme")
    yield made
    made.drop_tables()


@pytest.fixture
def name(installed: Commands) -> Iterator[str]:
    """A reader's name that no other test uses; removed afterwards."""
    made = f"bi_{secrets.token_hex(4)}"
    yield made
    installed.run("readers", "remove", made)


def as_reader(dsn: str, *statements: str) -> Any:
    """Runs the statements as the reader, and returns the result of the last one."""

    async def asked() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(asked())


def test_a_reader_reads_rows_and_nothing_that_is_secret(installed: Commands, name: str) -> None:
    store(installed, row("1"))
    made = installed.json("readers", "add", name)
    assert made["tables"] == list(READABLE)
    assert as_reader(made["dsn"], "SELECT count(*) FROM chat_messages") == 1
    for table in ("api_keys", "tenants", "webhook_endpoints", "ai_results", "quarantined_messages", "sink_offsets"):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            as_reader(made["dsn"], f"SELECT count(*) FROM {table}")
    for statement in ("DELETE FROM chat_messages", "CREATE TABLE mine (a int)"):
        with pytest.raises(
            (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)
        ):
            as_reader(made["dsn"], "SET default_transaction_read_only = off", statement)
    for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
        assert as_reader(made["dsn"], f"SELECT current_setting('{limit}')") == "5min"
    mighty = "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    assert as_reader(made["dsn"], mighty) is False


def test_a_reader_of_one_namespace_sees_no_other(installed: Commands, name: str) -> None:
    other = Commands(msgspec.structs.replace(installed.settings, namespace=f"o{secrets.token_hex(3)}"), {})  # fmt: skip
    other.json("migrate")
    try:
        dsn = installed.json("readers", "add", name)["dsn"]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            as_reader(dsn, f'SELECT count(*) FROM "{other.names.postgres_schema}".chat_messages')
        assert "that this command did not make" in other.fails("readers", "add", name)
        assert other.json("readers", "list") == {"readers": []}
    finally:
        other.drop_tables()


def test_a_reader_that_is_added_again_gets_a_new_password_and_one_that_is_removed_none(
    installed: Commands, name: str
) -> None:
    first = installed.json("readers", "add", name)["dsn"]
    second = installed.json("readers", "add", name)["dsn"]
    assert first != second and as_reader(second, "SELECT 1") == 1
    with pytest.raises(asyncpg.InvalidPasswordError):
        as_reader(first, "SELECT 1")
    assert installed.json("readers", "list") == {"readers": [{"name": name, "sessions": 0}]}
    installed.json("readers", "remove", name)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        as_reader(second, "SELECT 1")


def test_no_role_of_somebody_else_is_touched(installed: Commands) -> None:
    assert "did not make" in installed.fails("readers", "add", "sensorium")
    assert "no reader sensorium" in installed.fails("readers", "remove", "sensorium")
    assert "not a name for a reader" in installed.fails("readers", "add", 'x"; DROP ROLE y')


def test_every_table_and_column_is_described(installed: Commands) -> None:
    async def silent(connection: Connection) -> list[str]:
        rows = await connection.fetch(
            "SELECT c.relname || coalesce('.' || a.attname, '') AS what FROM pg_class c "
            "LEFT JOIN LATERAL (SELECT NULL::name AS attname, 0 AS attnum UNION ALL SELECT attname, attnum FROM pg_attribute "
            "  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a ON true "
            "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v', 'p') AND NOT c.relispartition "
            "AND coalesce(col_description(c.oid, a.attnum), CASE a.attnum WHEN 0 THEN obj_description(c.oid, 'pg_class') END, '') = ''"
        )
        return [one["what"] for one in rows]

    assert installed.database(silent) == []
    installed.database(lambda connection: connection.execute("COMMENT ON COLUMN tenants.settings IS NULL"))  # fmt: skip
    assert installed.database(silent) == ["tenants.settings"]


def test_comments_are_written_again_when_their_text_changed(
    installed: Commands, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "comments.sql"
    changed.write_text("COMMENT ON TABLE tenants IS 'changed';")
    monkeypatch.setattr(migrating, "COMMENTS_FILE", changed)

    async def comment(connection: Connection) -> Any:
        await migrate(connection, installed.names)
        return await connection.fetchval("SELECT obj_description('tenants'::regclass, 'pg_class')")

    assert installed.database(comment) == "changed"
