"""The table of docs/extending.md is made by its migration, and each column has its comment."""

from pathlib import Path

import asyncpg
import pytest

from schemas.topics import Names
from storage.postgres import migrate as migrating
from storage.postgres.migrate import migrate, migrations
from tests.integration.databases import Connection
from tests.layout.test_comments import declared, described
from tests.page_examples import examples_of


async def test_the_migration_makes_the_table_and_its_comments_leave_nothing_out(
    names: Names, database: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table, comments = examples_of("A table or a column")
    for migration in migrations():
        (tmp_path / f"{migration.name}.sql").write_text(migration.sql)
    (tmp_path / "9000_alerts.sql").write_text(table)
    described_all = tmp_path / "comments.txt"
    described_all.write_text(migrating.COMMENTS_FILE.read_text() + comments)
    monkeypatch.setattr(migrating, "COMMENTS_FILE", described_all)
    monkeypatch.setattr(migrating, "MIGRATIONS_DIR", tmp_path)
    assert await migrate(database, names) == ["9000_alerts"]
    said = await database.fetchval("SELECT obj_description('alerts'::regclass, 'pg_class')")
    assert said == "Messages in which a customer asked for a person."
    assert described(comments) == declared(table) != set()
    insert = "INSERT INTO alerts VALUES ('acme', $1, now())"
    await database.execute(insert, "acme:ycloud:1")
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.execute(insert, "acme:ycloud:1")
