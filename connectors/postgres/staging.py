"""Rows of a batch into their tables, by COPY: it costs
this program a third of what arrays as parameters do.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import asyncpg

from connectors.postgres.rows import STAGED_COLUMNS, ArrivalRow, message_rows
from schemas.outcomes import Unavailable
from schemas.records import EnrichedMessage
from storage.postgres.sql import queries

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
STAGED = "staged_messages_1"
"""The table that `stage_messages` makes."""
_ARRIVAL_COLUMNS = ArrivalRow._fields


async def prepare_staging(connection: Connection) -> None:
    """Makes the table in which messages wait, once per session.

    Behind a pooler the session is another one in each transaction.
    """
    await connection.execute(queries("sink")["stage_messages"])


async def clear_staged(connection: Connection) -> None:
    """For a transaction that stores more than one portion of messages."""
    await connection.execute(queries("sink")["clear_staged"])


async def store_messages(
    connection: Connection, messages: Sequence[EnrichedMessage]
) -> tuple[int, int, set[tuple[str, str]]]:
    """Merges versions into their rows, with their files and names of
    conversations. The caller has opened a transaction and prepared staging.

    Returns how many rows changed, of how many, and the conversations that are touched.
    """
    statements, rows = queries("sink"), message_rows(messages)
    await _copy(connection, STAGED, "pg_temp", STAGED_COLUMNS, rows.staged)
    status = await connection.execute(statements["merge_messages"])
    for name, table in rows.tables.items():
        await connection.execute(statements[name], *table)
    return int(status.rpartition(" ")[2]), len(rows.staged), rows.touched


async def add_arrivals(connection: Connection, arrived: Sequence[ArrivalRow]) -> None:
    """Adds what became of raw records.

    Nothing is looked up: the positions of the
    batch say that they were not added before. Raises Unavailable
    where the partition of a week was made while this waited: its
    arrivals fit, but not where they were about to go.
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
            table, schema_name=schema, columns=list(columns), records=rows
        )
    except (
        TypeError,
        ValueError,
        OverflowError,
    ) as error:  # of the client: a value has no binary form
        raise asyncpg.DataError(f"{type(error).__name__}: {error}") from error
