"""The work of each process per minute: the processes write it, the console reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from storage.postgres.pool import as_unavailable
from storage.postgres.sql import queries

FRESH_SECONDS = 20.0
"""A process that has written nothing for this long is down or cannot reach Postgres."""


@dataclass(frozen=True, slots=True)
class StageMinute:
    """The work of one process in one minute, as one row.

    `took` counts records per bucket of the duration metrics, the longest durations last.
    """

    minute: datetime
    stage: str
    member: str
    records: int
    per_second: float
    outcomes: Mapping[str, int]
    took: Sequence[int]
    unread: int
    waiting: int
    oldest_seconds: float


class StageMinutes:
    """Uses a pool or a connection.

    Raises Unavailable while Postgres cannot be reached.
    """

    def __init__(self, database: "asyncpg.Pool[Any] | asyncpg.Connection[Any]") -> None:
        self._database = database
        self._sql = queries("minutes")

    async def write(self, row: StageMinute) -> None:
        """Replaces the row of this process for the same minute."""
        outcomes = msgspec.json.encode(row.outcomes).decode()
        await self._fetch(
            "write_minute",
            *(row.minute, row.stage, row.member, row.records, row.per_second, outcomes),
            *(list(row.took), row.unread, row.waiting, row.oldest_seconds),
        )

    async def now(self) -> list[Any]:
        """One row per stage of which a process wrote recently."""
        return await self._fetch("stages_now", FRESH_SECONDS)

    async def seen(self) -> dict[str, datetime]:
        """Maps each stage to the last time one of its processes wrote."""
        return {row["stage"]: row["seen_at"] for row in await self._fetch("stages_seen")}

    async def outcomes(self, minutes: int) -> list[Any]:
        """Stage, outcome and count over the last minutes, largest count first."""
        return await self._fetch("outcomes_since", minutes)

    async def took(self, minutes: int, span: int) -> list[Any]:
        """The records per span of time, stage and bucket of duration, each with their count."""
        return await self._fetch("took_since", minutes, span)

    async def history(self, minutes: int, span: int) -> list[Any]:
        """The records per span of time and stage, and the most records that waited at a time."""
        return await self._fetch("history", minutes, span)

    async def stopped(self) -> set[str]:
        """The stages that stopped themselves and wait for a person."""
        with as_unavailable():
            rows = await self._database.fetch(queries("stops")["standing_stops"])
        return {row["stage"] for row in rows}

    async def _fetch(self, name: str, *arguments: Any) -> list[Any]:
        with as_unavailable():
            return list(await self._database.fetch(self._sql[name], *arguments))
