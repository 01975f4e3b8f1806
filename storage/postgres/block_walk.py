"""Changes a large table in slices of its blocks, so that each statement is short."""

import asyncio
import math

import asyncpg

from storage.postgres.sql import queries

SLICE_BLOCKS = 512
"""4 MiB per statement, so that it takes milliseconds and holds few locks."""
PAUSE_SECONDS = 0.05


async def walk_blocks(
    connection: "asyncpg.Connection[asyncpg.Record]",
    table: str,
    statement: str,
    *arguments: object,
    most: float = math.inf,
) -> int:
    """Executes the statement for each slice of the table, until about `most` rows changed.

    $1 and $2 are the first ctid of the slice and of the next one; `arguments` follow.
    Returns the number of changed rows.
    """
    changed, first = 0, 0
    blocks = await connection.fetchval(queries("retention")["blocks"], table)
    while first < blocks and changed < most:
        status = await connection.execute(
            statement, (first, 0), (first + SLICE_BLOCKS, 0), *arguments
        )
        changed += changed_rows(status)
        first += SLICE_BLOCKS
        await asyncio.sleep(PAUSE_SECONDS)
    return changed


def changed_rows(status: str) -> int:
    """The number at the end of a command's status, such as `DELETE 7`."""
    return int(status.rpartition(" ")[2])
