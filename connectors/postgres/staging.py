"""Writes the rows of a batch by COPY.

That costs this program a third of what arrays as parameters cost.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import asyncpg

from connectors.postgres.rows import STAGED_COLUMNS, ArrivalRow, MessageRows
from schemas.outcomes import Unavailable
from storage import failpoints
from storage.postgres.sql import queries

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
STAGED = "staged_messages_1"
"""The table that `stage_messages` creates."""
_ARRIVAL_COLUMNS = ArrivalRow._fields


async def prepare_staging(connection: Connection) -> None:
    """Creates the staging table of messages, once per session.

    Behind a pooler, each transaction has another session.
    """
    await connection.execute(queries("sink")["stage_messages"])


async def clear_staged(connection: Connection) -> None:
    """Empties the staging table, for a transaction that stores several portions of messages."""
    await connection.execute(queries("sink")["clear_staged"])


async def store_messages(
    connection: Connection, rows: MessageRows, merging: Callable[[], None] = lambda: None
) -> tuple[int, int, set[tuple[str, str]]]:
    """Merges versions into their rows, with their files and the aliases of conversations.

    The caller has opened a transaction and called `prepare_staging`. `merging` is called
    when the rows are with Postgres, which then works longest. Returns the number of
    changed rows, the number of all rows, and the conversations concerned.
    """
    statements = queries("sink")
    await _copy(connection, STAGED, "pg_temp", STAGED_COLUMNS, rows.staged)
    merging()
    status = await connection.execute(statements["merge_messages"])
    for name, table in rows.tables.items():
        await connection.execute(statements[name], *table)
    return int(status.rpartition(" ")[2]), len(rows.staged), rows.touched


async def add_arrivals(connection: Connection, arrived: Sequence[ArrivalRow]) -> None:
    """Adds the outcomes of raw records.

    It looks nothing up, because the positions of the batch show that they were not
    added before. Raises Unavailable if a week's partition was created while this
    waited: the arrivals fit, but not where they were about to go.
    """
    if not arrived:
        return
    try:
        await _copy(connection, "arrival_records", None, _ARRIVAL_COLUMNS, arrived)
    except asyncpg.CheckViolationError:
        raise Unavailable("postgres", 1.0, detail="arrival_weeks") from None


async def _copy(
    connection: Connection,
    table: str,
    schema: str | None,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    try:
        await connection.copy_records_to_table(
            table, schema_name=schema, columns=list(columns), records=_all_of(rows)
        )
    except (
        TypeError,
        ValueError,
        OverflowError,
    ) as error:  # raised by the client: a value has no binary form
        raise asyncpg.DataError(f"{type(error).__name__}: {error}") from error


def _all_of(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    yield from rows
    failpoints.reached("sink_in_copy")  # the server still waits for the end of the COPY
