"""One batch, one Postgres transaction: rows and positions together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import asyncpg

from connectors.postgres.rows import message_columns, notification, quarantine_columns
from schemas.records import EnrichedMessage, Quarantined, Source
from storage.postgres.sql import queries

_UNSTORABLE = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError, OverflowError, UnicodeEncodeError)
"""What Postgres says of a row that will never fit. Everything else is the world's trouble or ours."""


class Fenced(Exception):
    """Another sink has taken the partition over: this one must not write for it any more."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a partition stands after the batch, under the epoch this sink owns it by."""

    topic: str
    partition: int
    next_offset: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A decoded record and where it stood."""

    source: Source
    record: EnrichedMessage | Quarantined
    key: bytes
    value: bytes


@dataclass(slots=True)
class Work:
    """A batch: what to store, and where that leaves each partition."""

    placed: list[Placed] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)


@dataclass(slots=True)
class Written:
    """What the transaction did."""

    rows: int = 0
    unchanged: int = 0
    unstorable: int = 0


SetAside = Callable[[Sequence[tuple[Placed, str]]], Awaitable[None]]
"""Puts unstorable records into quarantine and returns when Kafka has them."""


class Writer:
    """Writes batches through a pool. Errors of Postgres come out as they are; the caller tells them apart."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", channel: str, set_aside: SetAside) -> None:
        self._pool = pool
        self._channel = channel
        self._set_aside = set_aside
        self._sql = queries("sink")

    async def write(self, work: Work) -> Written:
        """Rows and positions, all or nothing.

        1. Store the rows; where one of them is refused, halve until only the refused ones are left out.
        2. Quarantine those, acknowledged by Kafka: before the commit, so that none is lost; once more, should the commit fail.
        3. Move the positions, if this sink still owns them. Else nothing is committed.
        4. Commit.
        """
        written = Written()
        refused: list[tuple[Placed, str]] = []
        async with self._pool.acquire() as connection, connection.transaction():
            await self._store(connection, work.placed, written, refused)  # 1
            if refused:
                await self._set_aside(refused)  # 2
            for position in work.positions:  # 3
                moved = await connection.execute(self._sql["move_offset"], position.topic, position.partition, position.next_offset, position.epoch)
                if moved != "UPDATE 1":
                    raise Fenced(f"{position.topic}[{position.partition}] has another owner")
        written.unstorable = len(refused)  # 4: left the block
        return written

    async def _store(
        self,
        connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
        placed: list[Placed],
        written: Written,
        refused: list[tuple[Placed, str]],
    ) -> None:
        if not placed:
            return
        try:
            async with connection.transaction():  # a savepoint
                changed, total = await self._rows(connection, placed)
        except _UNSTORABLE as error:
            if len(placed) == 1:
                refused.append((placed[0], type(error).__name__))
                return
            middle = len(placed) // 2
            await self._store(connection, placed[:middle], written, refused)
            await self._store(connection, placed[middle:], written, refused)
        else:
            written.rows += changed
            written.unchanged += total - changed

    async def _rows(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", placed: list[Placed]) -> tuple[int, int]:
        """(changed, all) rows of messages."""
        messages = [one.record for one in placed if isinstance(one.record, EnrichedMessage)]
        quarantined = [one.record for one in placed if isinstance(one.record, Quarantined)]
        changed = total = 0
        if messages:
            columns = message_columns(messages)
            for name, table in columns.tables.items():
                status = await connection.execute(self._sql[name], *table)
                if name == "merge_messages":
                    changed, total = int(status.rpartition(" ")[2]), len(table[0])
            await connection.execute(self._sql["tell"], self._channel, notification(columns.touched))
        if quarantined:
            await connection.execute(self._sql["insert_quarantined"], *quarantine_columns(quarantined))
        return changed, total
