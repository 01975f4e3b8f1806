"""Migrates a database to the program's schema while programs read and write it.

The name of a file says which kind of step it is:

- `NNNN_name.sql` expands the schema: programs of the previous version still work. It
  runs before the roll-out.
- `NNNN_name.post.sql` contracts the schema: it removes what only older programs use.
  It runs after the roll-out.

A file is one transaction, unless it begins with the line `-- outside a transaction`.
It is then a list of repeatable statements, which can build indexes CONCURRENTLY.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from schemas.topics import Names
from storage.errors import StorageError

MIGRATIONS_DIR = Path(__file__).parent / "migrations"
COMMENTS_FILE = Path(__file__).with_name("comments.sql")
OUTSIDE = "-- outside a transaction\n"
_LOCK = 0x73656E73  # "sens": two `migrate` at once wait for each other
_ASK_AGAIN_SECONDS = 0.2
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 10.0
LOCK_TRIES = 60
CONCURRENTLY_SECONDS = 1_800
"""The longest time that a CONCURRENTLY statement waits for older transactions.

It has to outlast every older transaction, such as a backup, and it does not block
readers or writers. If it gave up, it would have to build its index from the beginning.
"""
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\w+)", re.IGNORECASE)
_STATEMENT_END = re.compile(r";[ \t]*(?:--[^\n]*)?(?:\n|\Z)")
_COMMENT = re.compile(r"^\s*--[^\n]*\n?", re.MULTILINE)
Say = Callable[[str], None]


class DatabaseAhead(StorageError):
    """This program cannot work with the database.

    A newer program has removed something from it, or an applied migration was changed.
    """


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def is_post(self) -> bool:
        return is_post(self.name)

    @property
    def is_outside(self) -> bool:
        return self.sql.startswith(OUTSIDE)

    @property
    def statements(self) -> list[str]:
        """The statements of a file outside a transaction.

        Each of them ends with a semicolon at the end of a line.
        """
        texts = (_COMMENT.sub("", part).strip() for part in _STATEMENT_END.split(self.sql))
        return [text for text in texts if text]


def is_post(name: str) -> bool:
    """True if a migration of this name removes what older programs use."""
    return name.endswith(".post")


def migrations() -> list[Migration]:
    return [Migration(path.stem, path.read_text()) for path in sorted(MIGRATIONS_DIR.glob("*.sql"))]


async def migrate(
    connection: "asyncpg.Connection[asyncpg.Record]",
    names: Names,
    *,
    finish: bool = False,
    say: Say = lambda _: None,
) -> list[str]:
    """Applies missing migrations and returns their names.

    Raises DatabaseAhead, and then changes nothing. `finish` states that no older
    program is running, so that the steps after the roll-out are applied too. A new
    database always gets all steps. The connection should have the limits MAINTENANCE
    and lead directly to Postgres, because a session lock keeps two migrations apart.
    """
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        # Poll, because a session that waits inside a statement would block a
        # CONCURRENTLY statement of the other session.
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
    try:
        await connection.execute(
            f'CREATE SCHEMA IF NOT EXISTS "{names.postgres_schema}"'
        )  # a checked name: letters, digits, underscores
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"  # noqa: E501
        )
        is_new = not await connection.fetchval("SELECT EXISTS (SELECT 1 FROM schema_migrations)")
        applied = []
        for migration in await pending(connection):
            if finish or is_new or not migration.is_post:
                await _apply(connection, migration, say)
                applied.append(migration.name)
        await _describe(connection, names)
        return applied
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _describe(connection: "asyncpg.Connection[asyncpg.Record]", names: Names) -> None:
    """Writes the comments on tables and columns.

    The comment on the schema names the version of the text that was applied.
    """
    text = COMMENTS_FILE.read_text()
    known = f"Sensorium. Described by comments.sql, {hashlib.sha256(text.encode()).hexdigest()}"
    there = await connection.fetchval(
        "SELECT obj_description($1::regnamespace, 'pg_namespace')", names.postgres_schema
    )
    if there == known:
        return
    # Nothing depends on the comments: if a table is in use, the next `migrate` writes them.
    with suppress(asyncpg.LockNotAvailableError):
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute(f"COMMENT ON SCHEMA \"{names.postgres_schema}\" IS '{known}'")


async def pending(connection: "asyncpg.Connection[asyncpg.Record]") -> list[Migration]:
    """The migrations that `migrate` would apply.

    Raises DatabaseAhead, and asyncpg.UndefinedTableError for a database that was never
    migrated. Expanding migrations of a newer program are ignored, because this program
    works with them.
    """
    known = {migration.name: migration for migration in migrations()}
    there = {
        row["name"]: row["sha256"]
        for row in await connection.fetch("SELECT name, sha256 FROM schema_migrations")
    }
    for name, sha256 in there.items():
        if name not in known and is_post(name):
            raise DatabaseAhead(
                f"the database has migration {name}, which this program does not know "
                "and cannot work with: run the newer program"
            )
        if name in known and known[name].sha256 != sha256:
            raise DatabaseAhead(
                f"migration {name} was applied with another text: its file was changed afterwards"
            )
    return [migration for name, migration in known.items() if name not in there]


async def _apply(
    connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration, say: Say
) -> None:
    """Applies one migration, with retries if a lock is not free soon.

    Readers and writers of the table have priority.
    """
    pause = _FIRST_PAUSE_SECONDS
    for left in reversed(range(LOCK_TRIES)):
        try:
            if migration.is_outside:
                for statement in migration.statements:
                    await _execute_outside(connection, statement)
                await _note(connection, migration)
            else:
                async with connection.transaction():
                    await connection.execute(migration.sql)
                    await _note(connection, migration)
            return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if not left:
                raise
            say(f"{migration.name}: a table is in use, trying again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_SECONDS, pause * 1.5)


async def _execute_outside(
    connection: "asyncpg.Connection[asyncpg.Record]", statement: str
) -> None:
    if "CONCURRENTLY" not in statement.upper():
        await connection.execute(statement)
        return
    await connection.execute(f"SET lock_timeout = '{CONCURRENTLY_SECONDS}s'")
    try:
        await _drop_half_built(connection, statement)
        await connection.execute(statement)
    finally:
        if not connection.is_closed():
            await connection.execute("RESET lock_timeout")


async def _note(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    await connection.execute(
        "INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)",
        migration.name,
        migration.sha256,
    )


async def _drop_half_built(
    connection: "asyncpg.Connection[asyncpg.Record]", statement: str
) -> None:
    """Drops an index that a crash left half built, so that it is built again.

    Such an index exists by name, but Postgres does not use it.
    """
    index = _INDEX.search(statement)
    if index and await connection.fetchval(
        "SELECT true FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid", index[1]
    ):
        await connection.execute(f"DROP INDEX CONCURRENTLY {index[1]}")
