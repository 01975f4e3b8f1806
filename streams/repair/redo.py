"""Counts, reads and writes the records of each kind of repair."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import asyncpg
import msgspec
from confluent_kafka import KafkaException

from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.counts import CountReader
from storage.postgres.erased import Erased, all_erased
from storage.postgres.pool import as_unavailable
from storage.postgres.repair_plans import Counted, HeldRepair, Intent, RepairRequest
from storage.postgres.repairs import Repairs
from storage.postgres.sql import queries
from streams.apps.encoding import Encoding
from streams.lanes.transactions import Write
from streams.repair.applying import Opened, Prepared
from streams.repair.attachments import failed_for, item_for
from streams.repair.quarantined import place_of, read_whole, write_again
from streams.repair.raw import (
    OffsetRange,
    RawReader,
    RawRecordPosition,
    left_of,
    position_of,
    span_of,
)
from streams.repair.raw_count import COUNTING_SECONDS, count_raw
from streams.repair.writing import LIMITS, Item, NumberedPortions, collect

T = TypeVar("T")


class KafkaRedo:
    """Implements Redo on the brokers and a connection pool."""

    def __init__(self, settings: Settings, pool: "asyncpg.Pool[Any]") -> None:
        self._settings = settings
        self._pool = pool
        self.counting_seconds = COUNTING_SECONDS
        self._repairs = Repairs(pool)
        self._counts = CountReader(settings.kafka)

    async def next_generation(self, detail: str) -> int:
        """Returns a generation higher than all before. Raises Unavailable."""
        generation: int | None = None
        with as_unavailable():
            while generation is None:  # another process took that number at the same moment
                generation = await self._pool.fetchval(
                    queries("tenancy")["next_generation"], "repair", detail
                )
        return generation

    async def count(self, request: RepairRequest) -> Counted:
        """Counts failed files and quarantined records in Postgres, and raw records in the topic."""
        match request.kind:
            case "attachments":
                return await self._repairs.count_failed(request)
            case "quarantine":
                return await self._repairs.count_quarantined(request)
            case "raw":
                erased = await erased_of(self._pool, request.tenant_id)
                return await count_raw(
                    self._settings, self._repairs, request, erased, self.counting_seconds
                )

    @asynccontextmanager
    async def opened(self, held: HeldRepair) -> AsyncIterator[Opened]:
        """Opens the repair on Kafka and fences its former worker.

        Raises WrongCounts: messages would be put into other partitions than before.
        """
        names = Names(self._settings.namespace)
        await in_kafka(lambda: self._counts.require(names.topics))
        portions = NumberedPortions(self._settings.kafka, names, held.repair_id)
        source: _RawSource | None = None
        try:
            if held.kind == "raw":
                erased = await erased_of(self._pool, held.tenant_id)
                source = await in_kafka(lambda: _RawSource(self._settings, held, erased))
            await in_kafka(portions.open)
            yield KafkaOpened(self._settings, self._pool, held, portions, source)
        finally:
            await asyncio.to_thread(portions.close)
            if source is not None:
                await asyncio.to_thread(source.close)


class KafkaOpened:
    """Reads and writes the portions of one repair, according to its kind."""

    def __init__(
        self,
        settings: Settings,
        pool: "asyncpg.Pool[Any]",
        held: HeldRepair,
        portions: NumberedPortions,
        source: "_RawSource | None",
    ) -> None:
        self._names = Names(settings.namespace)
        self._encoding = Encoding(self._names, settings.kafka.partitions)
        self._pool, self._repairs = pool, Repairs(pool)
        self._held, self._portions, self._source = held, portions, source

    async def committed(self) -> int:
        return await in_kafka(self._portions.committed)

    async def following(self, most: int) -> Intent | None:
        source = self._source
        if source is None:
            return await self._repairs.following(self._held, most)
        return await in_kafka(lambda: source.following(most))

    async def prepared(self, intent: Intent) -> Prepared:
        source = self._source
        if source is not None:
            return Prepared(intent, await in_kafka(lambda: source.writes_up_to(intent)))
        read = self._files if self._held.kind == "attachments" else self._quarantined
        with as_unavailable():
            async with self._pool.acquire() as connection:
                one = cast("asyncpg.Connection[asyncpg.Record]", connection)
                return await read(one, intent)

    async def write(self, portion: Prepared) -> None:
        number, writes = portion.intent.number, portion.writes
        await in_kafka(lambda: self._portions.write(number, writes))

    async def _files(
        self, connection: "asyncpg.Connection[asyncpg.Record]", intent: Intent
    ) -> Prepared:
        """Prepares the messages.

        A message without a file or a URL to try is skipped and does not count as tried.
        """
        tenants, keys = [one[0] for one in intent.items], [one[1] for one in intent.items]
        rows = await connection.fetch(
            queries("repairs")["failed_messages_of"], tenants, keys, self._held.reason
        )
        redo = failed_for(self._held.reason, leaves_gone=self._held.choice.leaves_gone)
        writes, redone, tried = list[Write](), 0, set[str]()
        for row in rows:
            item = await item_for(connection, row, redo, self._held.generation, self._encoding)
            if item.writes:
                writes += item.writes
                redone += item.mark
                tried.add(row["message_key"])
        items = tuple(one for one in intent.items if one[1] in tried)
        return Prepared(msgspec.structs.replace(intent, redone=redone, items=items), writes)

    async def _quarantined(
        self, connection: "asyncpg.Connection[asyncpg.Record]", intent: Intent
    ) -> Prepared:
        if not intent.items:
            return Prepared(intent, [])
        rows, old = await read_whole(connection, [one[3:] for one in intent.items])
        left = {place_of(row) for row in rows}
        superseded = {place_of(row) for row in old}
        partitions, generation = self._encoding.partitions, self._held.generation
        writes = [write_again(row, self._names, partitions, generation) for row in rows]
        return Prepared(
            msgspec.structs.replace(
                intent,
                redone=len(writes),
                items=tuple(one for one in intent.items if one[3:] in left),
                old=tuple(one for one in intent.items if one[3:] in superseded),
            ),
            writes,
        )


class _RawSource:
    """Reads the ranges of a repair from its position, in portions. Blocks.

    A portion is bounded in records, bytes and time.
    """

    def __init__(self, settings: Settings, held: HeldRepair, erased: Erased) -> None:
        self._reader = RawReader(settings.kafka, Names(settings.namespace), erased)
        self._held = held
        self._spans = [span_of(text) for text in held.choice.spans]
        self._tenant = None if held.is_everywhere else str(held.tenant_id)
        self._waiting: Generator[Item[RawRecordPosition], None, None] | None = None
        self._collected: list[Item[RawRecordPosition]] = []

    def following(self, most: int) -> Intent | None:
        held = self._held
        if self._waiting is None:
            self._waiting = self._items(left_of(self._spans, position_of(held.done_key)))
        self._collected = collect(self._waiting, LIMITS._replace(records=most))
        if not self._collected:
            return None
        mark, count = self._collected[-1].mark, sum(len(one.writes) for one in self._collected)
        after = f"{mark.partition}:{mark.offset}"
        return Intent(held.portion + 1, (), count, held.done_at, after, redone=count)

    def writes_up_to(self, intent: Intent) -> list[Write]:
        """Returns the writes of the portion that was just read.

        Otherwise it reads the portion that another process left.
        """
        if not self._collected:
            done, last = position_of(self._held.done_key), position_of(intent.after_key)
            left = set(left_of(self._spans, last))
            spans = [span for span in left_of(self._spans, done) if span not in left]
            assert last is not None
            cut = [
                OffsetRange(span.partition, span.begin, min(span.end, last.offset + 1))
                if span.partition == last.partition and span.begin <= last.offset < span.end
                else span
                for span in spans
            ]
            self._collected = list(self._items(cut))
        writes = [write for item in self._collected for write in item.writes]
        self._collected = []
        return writes

    def close(self) -> None:
        if self._waiting is not None:
            self._waiting.close()  # releases its assignment, which needs an open consumer
        self._reader.close()

    def _items(self, spans: list[OffsetRange]) -> Generator[Item[RawRecordPosition], None, None]:
        return self._reader.again(spans, self._tenant, self._held.generation)


async def erased_of(pool: "asyncpg.Pool[Any]", tenant_id: str) -> Erased:
    """Returns the erased messages, which a replay must leave out. Raises Unavailable."""
    with as_unavailable():
        async with pool.acquire() as connection:
            one = cast("asyncpg.Connection[asyncpg.Record]", connection)
            return await all_erased(one, None if tenant_id == "*" else tenant_id)


async def in_kafka(call: Callable[[], T]) -> T:
    """Runs the call in a thread and waits until it ends.

    Even a cancelled task waits, so that it leaves no open transaction. Raises
    Unavailable.
    """
    running: Awaitable[T] = asyncio.to_thread(call)
    task = asyncio.ensure_future(running)
    try:
        return await asyncio.shield(task)
    except KafkaException as error:
        raise Unavailable("kafka", 5.0, detail=error.args[0].str()[:200]) from error
    except TimeoutError as error:
        raise Unavailable("kafka", 5.0, detail=str(error)[:200]) from error
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
