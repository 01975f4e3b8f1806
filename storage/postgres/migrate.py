"""Brings a database to the program's schema, one file after another, each in one transaction."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from schemas.topics import Names

MIGRATIONS_DIR = Path(__file__).parent / "migrations"
COMMENTS_FILE = Path(__file__).with_name("comments.sql")
_LOCK = 0x73656E73  # "sens": two `migrate` at once wait for each other


class DatabaseAhead(Exception):
    """The database has a migration this program does not know, or another text of one it knows."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    return [Migration(path.stem, path.read_text()) for path in sorted(MIGRATIONS_DIR.glob("*.sql"))]


async def migrate(connection: "asyncpg.Connection[asyncpg.Record]", names: Names) -> list[str]:
    """Applies what is missing and returns the names. Raises DatabaseAhead, changes nothing then."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(
            f'CREATE SCHEMA IF NOT EXISTS "{names.postgres_schema}"'
        )  # a checked name: letters, digits, underscores
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"  # noqa: E501
        )
    applied = []
    for migration in await pending(connection):
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            if await connection.fetchval(
                "SELECT true FROM schema_migrations WHERE name = $1", migration.name
            ):
                continue
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)",
                migration.name,
                migration.sha256,
            )
        applied.append(migration.name)
    await _describe(connection, names)
    return applied


async def _describe(connection: "asyncpg.Connection[asyncpg.Record]", names: Names) -> None:
    """Comments on tables and columns. The schema's own comment says which text of them was applied."""
    text = COMMENTS_FILE.read_text()
    known = f"Sensorium. Described by comments.sql, {hashlib.sha256(text.encode()).hexdigest()}"
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        there = await connection.fetchval(
            "SELECT obj_description($1::regnamespace, 'pg_namespace')", names.postgres_schema
        )
        if there != known:
            await connection.execute(text)
            await connection.execute(f"COMMENT ON SCHEMA \"{names.postgres_schema}\" IS '{known}'")


async def pending(connection: "asyncpg.Connection[asyncpg.Record]") -> list[Migration]:
    """What `migrate` would apply. Raises DatabaseAhead; asyncpg.UndefinedTableError for a database never migrated."""
    known = {migration.name: migration for migration in migrations()}
    there = {
        row["name"]: row["sha256"]
        for row in await connection.fetch("SELECT name, sha256 FROM schema_migrations")
    }
    for name, sha256 in there.items():
        if name not in known:
            raise DatabaseAhead(
                f"the database has migration {name}, which this program does not know: run the newer program"
            )
        if known[name].sha256 != sha256:
            raise DatabaseAhead(
                f"migration {name} was applied with another text: the program was changed after the fact"
            )
    return [migration for name, migration in known.items() if name not in there]
