"""The order in which every writer locks rows."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import asyncpg

Row = TypeVar("Row")
T = TypeVar("T")
MOST_DEADLOCKS = 20


def _first_columns(row: Any) -> Any:
    return row[:4]


def in_lock_order(rows: Iterable[Row], key: Callable[[Row], Any] = _first_columns) -> list[Row]:
    """The rows, sorted by their key. Every writer of several rows that it names passes
    them through here.

    So two writers of the same rows may wait for each other, but never deadlock. A
    statement that joins, or looks something up for each row, keeps this order by WITH
    ORDINALITY and ORDER BY, because the planner may change it otherwise. Pass `key`
    unless the rows begin with the columns of their key.

    Statements that choose rows themselves are not sorted here. `dismiss_quarantined`
    sorts in SQL. Expiry deletes in portions, so a deadlock there only repeats a portion.
    """
    return sorted(rows, key=key)


def columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """The rows as columns, for `unnest`. There is at least one row."""
    return [list(column) for column in zip(*rows, strict=True)]


async def despite_deadlocks(work: Callable[[], Awaitable[T]]) -> T:
    """Runs a transaction again if Postgres ended it so that another one could continue.

    This is for a command that deletes while sinks write. One order of messages is not
    enough there, because a sink may delete rows of other tables whose message is gone.
    """
    for _ in range(MOST_DEADLOCKS):
        try:
            return await work()
        except asyncpg.DeadlockDetectedError:
            continue
    return await work()
