"""Stores one batch in one Postgres transaction: rows and positions together."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg
import msgspec
import structlog

from connectors.errors import ConnectorsError
from connectors.postgres.rows import (
    ArrivalRow,
    MessageRows,
    arrivals,
    bare_quarantined,
    message_rows,
    notifications,
    quarantine_columns,
)
from connectors.postgres.staging import add_arrivals, clear_staged, prepare_staging, store_messages
from schemas.arrival import Arrival
from schemas.outcomes import Quarantine
from schemas.records import EnrichedMessage, Quarantined, Receipt, Source
from schemas.text import storable
from storage import failpoints
from storage.postgres.erased import (
    Named,
    erased_among,
    erasing_among,
    forget,
    forget_answers,
    remember_erased,
)
from storage.postgres.lock_order import in_lock_order
from storage.postgres.pool import names_a_value
from storage.postgres.sql import queries

log = structlog.get_logger()
InTransaction: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class Fenced(ConnectorsError):
    """Another sink has taken over the partition: this one must not write for it any more."""


class OutOfStep(ConnectorsError):
    """The position in Postgres is not the one from which this sink continues.

    Another server without the last commits took over, or a backup was restored. The
    records in between would be missing permanently, so they are read again from that
    position.
    """


class Refusing(ConnectorsError):
    """Nearly all records are refused, so the program is at fault and not the records.

    A person has to look.
    """


@dataclass(frozen=True, slots=True)
class Position:
    """A partition's position after the batch.

    `epoch` is the one under which this sink owns the partition; `after` is the position
    from which the batch continues.
    """

    topic: str
    partition: int
    next_offset: int
    epoch: int
    after: int


SinkRecord = EnrichedMessage | Quarantined | Receipt


class Placed(msgspec.Struct, frozen=True):
    """A decoded record with its place.

    `headers` returns its Kafka headers. They are only needed for a record that is
    quarantined.
    """

    source: Source
    record: SinkRecord
    key: bytes
    value: bytes
    headers: Callable[[], Any] = list

    def arrival(self) -> Arrival:
        """Returns the record as it came from Kafka."""
        headers = [(name, value or b"") for name, value in self.headers() or ()]
        source = self.source
        return Arrival(source.topic, source.partition, source.offset, self.key, self.value, headers)


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Work:
    """A batch: what to store, the resulting ends, and the messages that tombstones end.

    `rows` are those of the messages in `placed`, if they are made already. `busy` is
    called when Postgres works on the batch while this program only waits.
    """

    placed: list[Placed] = field(default_factory=list)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    ended: set[Named] = field(default_factory=set)
    rows: MessageRows | None = None
    busy: Callable[[], None] = _nothing


@dataclass(slots=True)
class Written:
    """The result of the transaction."""

    rows: int = 0
    unchanged: int = 0
    unstorable: int = 0


def tenant_of(record: SinkRecord) -> str:
    """The record's tenant; empty for a receipt, whose lines belong to many tenants."""
    return "" if isinstance(record, Receipt) else record.tenant_id


RefusedRecords = Sequence[tuple[Placed, Quarantine]]
WriteQuarantined = Callable[[RefusedRecords], Awaitable[None]]
"""Quarantines unstorable records, and returns when Kafka has them."""
Judge = Callable[[Sequence[Placed], RefusedRecords], Awaitable[bool]]
"""Decides whether these refused records may be quarantined.

A program that refuses nearly all records is wrong itself.
"""
WriteTombstones = Callable[[Sequence[Placed]], Awaitable[None]]
"""Writes a tombstone for each of these records, and returns when Kafka has them."""


async def every(placed: Sequence[Placed], refused: RefusedRecords) -> bool:
    """A judge that lets every record be quarantined."""
    return True


class Writer:
    """Writes batches through a pool. Errors of Postgres are not converted."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        channel: str,
        quarantine: WriteQuarantined,
        write_tombstones: WriteTombstones,
        judge: Judge = every,
    ) -> None:
        self._pool = pool
        self._channel = channel
        self._quarantine = quarantine
        self._write_tombstones = write_tombstones
        self._judge = judge
        self._sql = queries("sink")
        self.topic_ids: Mapping[str, str] = {}

    async def write(self, work: Work, positions: Sequence[Position]) -> Written:
        """Writes rows and positions, all or nothing.

        A repeated call, after an error that left open whether it committed, writes them
        once.

        1. Announce that messages will be written. Move the positions, if this sink still owns
           them and they are those from which it continues. If all are at the end of the batch
           already, the earlier try has committed. If only some are, it was another batch.
        2. Delete what tombstones end. Leave out the records of removed tenants and of erased
           messages, with tombstones for those messages.
        3. Store the rows. If one of them is refused, halve the batch until only refused ones
           are left out.
        4. Quarantine those, acknowledged by Kafka: before the commit, so that none is lost;
           again if the commit fails.
        5. Commit.
        """
        written = Written()
        refused: list[tuple[Placed, Quarantine]] = []
        async with self._pool.acquire() as connection, connection.transaction():
            if any(isinstance(one.record, EnrichedMessage) for one in work.placed):  # 1
                await connection.execute(self._sql["announce_writing"])
                await prepare_staging(connection)
            moved = [await self._move(connection, one) for one in in_lock_order(positions, _place)]
            if not all(moved):
                if any(moved):
                    raise OutOfStep("a part of this batch is committed already")
                return written
            removed = await self._removed(connection)  # 2
            if work.ended:
                await remember_erased(connection, work.ended)
                await forget(connection, work.ended)
            placed = await self._storable_records(connection, work.placed, removed)
            whole = work if placed is work.placed else Work(placed)
            await self._store(connection, whole, written, refused, removed)  # 3
            work.busy()
            if refused:
                if not await self._judge(placed, refused):
                    raise Refusing(f"{len(refused)} of {len(placed)} records")
                await self._quarantine(refused)  # 4
            failpoints.reached("sink_before_commit")
        failpoints.reached("sink_after_commit")
        written.unstorable = len(refused)  # 5: left the block
        return written

    async def _removed(self, connection: InTransaction) -> frozenset[str]:
        """The tenants of whom nothing is stored any more.

        None is removed before this transaction ends.
        """
        await connection.execute(self._sql["removal_lock"])
        return frozenset(
            row["tenant_id"] for row in await connection.fetch(self._sql["removed_tenants"])
        )

    async def _storable_records(
        self, connection: InTransaction, placed: list[Placed], removed: frozenset[str]
    ) -> list[Placed]:
        """The records that may be stored.

        For the other messages it writes tombstones and deletes recorded model answers.
        """
        tenants = {tenant_of(one.record) for one in placed}
        erasing = await erasing_among(connection, tenants)
        named = (_named(one) for one in placed if tenant_of(one.record) in erasing)
        erased = await erased_among(connection, filter(None, named)) if erasing else frozenset()
        if not (removed or erased):
            return placed
        gone = [one for one in placed if tenant_of(one.record) in removed or _named(one) in erased]
        if not gone:
            return placed
        late = [one for one in gone if isinstance(one.record, EnrichedMessage)]
        if late:
            await forget(connection, {name for one in late if (name := _named(one))})
            await forget_answers(
                connection, [content for one in late for content in _contents(one)]
            )
        await self._write_tombstones(late)
        left_out = set(map(id, gone))
        return [one for one in placed if id(one) not in left_out]

    async def _move(self, connection: InTransaction, position: Position) -> bool:
        """Moves a position.

        Returns False if it is there already. Raises Fenced and OutOfStep.
        """
        place = (position.topic, position.partition)
        moved = await connection.execute(
            self._sql["move_offset"], *place, position.next_offset, position.epoch, position.after
        )
        if moved == "UPDATE 1":
            return True
        row = await connection.fetchrow(self._sql["position_of"], *place)
        where = f"{position.topic}[{position.partition}]"
        if row is None:
            raise OutOfStep(f"Postgres no longer has a position for {where}")
        if row["epoch"] > position.epoch:
            raise Fenced(f"another sink has taken over {where}")
        if (row["epoch"], row["next_offset"]) == (position.epoch, position.next_offset):
            return False
        raise OutOfStep(
            f"the position of {where} in Postgres is {row['next_offset']} with epoch "
            f"{row['epoch']}, but this batch continues from {position.after} with epoch "
            f"{position.epoch}"
        )

    async def _store(
        self,
        connection: InTransaction,
        work: Work,
        written: Written,
        refused: list[tuple[Placed, Quarantine]],
        removed: frozenset[str],
        *,
        is_part: bool = False,
    ) -> None:
        placed = work.placed
        if not placed:
            return
        try:
            async with connection.transaction():  # a savepoint
                if is_part and any(isinstance(one.record, EnrichedMessage) for one in placed):
                    await clear_staged(connection)
                changed, total = await self._rows(connection, work, removed)
        except Exception as error:
            if not names_a_value(error):
                raise
            if len(placed) == 1:
                await self._refuse(connection, placed[0], type(error).__name__, refused)
                return
            middle = len(placed) // 2
            for half in (Work(placed[:middle]), Work(placed[middle:])):
                await self._store(connection, half, written, refused, removed, is_part=True)
        else:
            written.rows += changed
            written.unchanged += total - changed

    async def _refuse(
        self,
        connection: InTransaction,
        placed: Placed,
        why: str,
        refused: list[tuple[Placed, Quarantine]],
    ) -> None:
        """Records a refused record, to be quarantined.

        A record that came from quarantine is not quarantined again. Its row is stored
        with its position, and with its bytes if Postgres accepts them.
        """
        record = placed.record
        if not isinstance(record, Quarantined):
            refused.append((placed, Quarantine("record_unstorable", why)))
            return
        for bare in (bare_quarantined(record, why), bare_quarantined(record, why, is_empty=True)):
            try:
                async with connection.transaction():
                    columns = quarantine_columns([bare], self.topic_ids)
                    await connection.execute(self._sql["insert_quarantined"], *columns)
                log.error("quarantine_row_stored_without_values", **_where(placed), why=why)
                return
            except Exception as error:
                if not names_a_value(error):
                    raise
        log.error("quarantine_row_not_stored", **_where(placed), why=why)

    async def _rows(
        self, connection: InTransaction, work: Work, removed: frozenset[str]
    ) -> tuple[int, int]:
        """Stores the rows of a batch, and returns (changed, all) rows of messages."""
        placed = work.placed
        messages = [one.record for one in placed if isinstance(one.record, EnrichedMessage)]
        quarantined = [one.record for one in placed if isinstance(one.record, Quarantined)]
        changed = total = 0
        if messages:
            changed, total, touched = await store_messages(
                connection, work.rows or message_rows(messages), work.busy
            )
            await connection.execute(self._sql["tell"], self._channel, notifications(touched))
        if quarantined:
            await connection.execute(
                self._sql["insert_quarantined"],
                *quarantine_columns(quarantined, self.topic_ids),
            )
        receipts = (one.record for one in placed if isinstance(one.record, Receipt))
        await add_arrivals(
            connection, await self._without_erased(connection, arrivals(receipts, removed))
        )
        return changed, total

    async def _without_erased(
        self, connection: InTransaction, arrived: list[ArrivalRow]
    ) -> list[ArrivalRow]:
        """The arrivals without those of erased messages, which are not recorded again."""
        if not arrived:
            return arrived
        erasing = await erasing_among(connection, {a.tenant_id for a in arrived})
        if not erasing:
            return arrived
        names = ((a.tenant_id, a.message_key) for a in arrived if a.tenant_id in erasing)
        erased = await erased_among(connection, names)
        return [a for a in arrived if (a.tenant_id, a.message_key) not in erased]


def _named(placed: Placed) -> Named | None:
    """The message that a record is about, or None for a receipt, which is about many."""
    record = placed.record
    if isinstance(record, Receipt):
        return None
    if isinstance(record, EnrichedMessage):
        return record.tenant_id, record.message_key
    return record.tenant_id, storable((record.key or b"").decode(errors="replace"))


def _contents(placed: Placed) -> list[tuple[str, str]]:
    """The files that a version shows, as (tenant, sha256)."""
    record = placed.record
    assert isinstance(record, EnrichedMessage)
    return [(record.tenant_id, one.sha256) for one in record.attachments if one.sha256]


def _place(position: Position) -> tuple[str, int]:
    return position.topic, position.partition


def _where(placed: Placed) -> dict[str, int]:
    return {"partition": placed.source.partition, "offset": placed.source.offset}
