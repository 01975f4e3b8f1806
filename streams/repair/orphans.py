"""Deletes objects that no row refers to.

Such objects were stored by a worker that died before it could report them. The next
attempt stored the file again, perhaps under another key.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog
from confluent_kafka import Message

from schemas.pipeline import TopicName
from schemas.settings import Settings
from schemas.topics import Names
from schemas.versions import UnknownVersion
from storage.kafka.reading import TopicReader
from storage.objects.keys import tenant_of_object
from storage.objects.store import ObjectStore, Stored
from storage.postgres.sql import queries
from storage.waiting import Deadline
from streams.errors import StreamsError
from streams.repair.topic_sets import TopicSet, sets_of_topics
from streams.repair.unfinished import tenants_at_work

log = structlog.get_logger()
PositionsOf = Callable[[TopicReader, str], Awaitable[Mapping[int, int]]]
"""Returns the position of a reader in a topic, as a map of partitions to next offsets."""
CATCH_UP_SECONDS = 60.0
CHUNK = 1_000
PORTION = 10_000
"""Suspects in memory at a time.

An interrupted sweep has deleted those of earlier portions, and the next sweep begins
with the rest.
"""


class Behind(StreamsError):
    """Rows that refer to an object may still arrive, so orphans cannot be recognised now.

    The text says which reader is behind.
    """


@dataclass(slots=True)
class Swept:
    """The result of a sweep.

    `undecided` are tenants whose files were kept, because a quarantined record or an
    unfinished job may refer to one.
    """

    objects: int = 0
    bytes: int = 0
    undecided: set[str] = field(default_factory=set)


class Sweep:
    """One pass over the whole store."""

    def __init__(
        self,
        settings: Settings,
        connection: "asyncpg.Connection[asyncpg.Record]",
        store: ObjectStore,
    ) -> None:
        self._settings = settings
        self._names = Names(settings.namespace)
        self._connection = connection
        self._store = store
        self._statements = queries("orphans")

    async def run(self, older: timedelta, tenant: str | None = None, *, dry: bool = False) -> Swept:
        """Deletes objects older than `older` that no row refers to. With `dry` it only counts them.

        Raises Behind and Unavailable.

        1. Find the old objects without a row, and the tenants with jobs so old that they may have
           stored one.
        2. Wait until every enrichment about them has become a row: until assemble has read what
           `enrichments` has now, and the sink what `enriched-messages` and `quarantine` have after
           that; in every set of topics that the pipeline has.
        3. Delete those that still have no row and were not stored again meanwhile.
        """
        before = datetime.now(UTC) - older
        swept = Swept()
        suspects: list[Stored] = []
        async for one in self._without_row(self._old(before, tenant)):  # 1
            suspects.append(one)
            if len(suspects) == PORTION:
                await self._settle(suspects, before, swept, dry=dry)
                suspects = []
        if suspects:
            await self._settle(suspects, before, swept, dry=dry)
        return swept

    async def _settle(
        self, suspects: list[Stored], before: datetime, swept: Swept, *, dry: bool
    ) -> None:
        at_work: set[str] = set()
        for one_set in await asyncio.to_thread(sets_of_topics, self._settings):
            at_work |= await self._at_work(one_set, before)
            await self._wait_for(
                "assemble", one_set, "enrichments", self._positions_of_assemble
            )  # 2
            for topic in ("enriched-messages", "quarantine"):
                await self._wait_for("sink", one_set, topic, self._positions_of_sink)
        owners = sorted({tenant_of_object(one.key) for one in suspects})
        undecided = at_work | {
            row["tenant_id"]
            for row in await self._connection.fetch(self._statements["undecided_tenants"], owners)
        }
        async for one in self._without_row(_each(suspects)):  # 3
            owner = tenant_of_object(one.key)
            if owner in undecided:
                swept.undecided.add(owner)
                continue
            now = await self._store.stat(one.key)
            if now is None or now.modified > before:
                continue
            if not dry:
                await self._store.delete(one.key)
            swept.objects += 1
            swept.bytes += now.bytes
        log.info("sweep_progress", objects=swept.objects, bytes=swept.bytes, last=suspects[-1].key)

    async def _at_work(self, one_set: TopicSet, before: datetime) -> set[str]:
        """Returns the tenants with old unfinished jobs.

        They are read before the waits, so that a job which has finished by then has its
        row after them.
        """
        try:
            return await asyncio.to_thread(
                tenants_at_work,
                one_set.kafka,
                one_set.names,
                before,
                any_count=one_set.names != self._names,
            )
        except UnknownVersion as newer:
            raise Behind(f"store_media has jobs of a newer program ({newer})") from None

    async def _old(self, before: datetime, tenant: str | None) -> AsyncIterator[Stored]:
        async for one in self._store.list(
            f"{self._names.object_prefix}media/{tenant + '/' if tenant else ''}"
        ):
            if one.modified <= before:
                yield one

    async def _without_row(self, objects: AsyncIterator[Stored]) -> AsyncIterator[Stored]:
        chunk: list[Stored] = []
        async for one in objects:
            chunk.append(one)
            if len(chunk) == CHUNK:
                for orphan in await self._unknown(chunk):
                    yield orphan
                chunk = []
        for orphan in await self._unknown(chunk):
            yield orphan

    async def _unknown(self, chunk: list[Stored]) -> list[Stored]:
        if not chunk:
            return []
        shown = {
            row["object_key"]
            for row in await self._connection.fetch(
                self._statements["shown"],
                [tenant_of_object(one.key) for one in chunk],
                [one.key for one in chunk],
            )
        }
        return [one for one in chunk if one.key not in shown]

    async def _wait_for(
        self, who: str, one_set: TopicSet, name: TopicName, positions_of: PositionsOf
    ) -> None:
        """Waits until the reader has no record left before the current end of the topic.

        Comparing positions is not enough, because transaction markers take offsets too.
        """
        topic = one_set.names.topic(name)
        reader = TopicReader(
            one_set.kafka, one_set.names.group("assemble"), any_count=one_set.names != self._names
        )
        try:
            bounds = await asyncio.to_thread(reader.bounds, topic)
            ends = {partition: end for partition, (_, end) in bounds.items()}
            deadline = Deadline(CATCH_UP_SECONDS)
            while True:
                at = await positions_of(reader, topic)
                begin = {p: max(low, at.get(p, low)) for p, (low, _) in bounds.items()}
                first = await asyncio.to_thread(_first_record, reader, topic, begin, ends)
                if first is None:
                    return
                if deadline.has_passed:
                    raise Behind(
                        f"{who} has not read {topic}[{first.partition()}] from offset "
                        f"{first.offset()} on within {CATCH_UP_SECONDS:g} s"
                    )
                await asyncio.sleep(0.5)
        finally:
            reader.close()

    async def _positions_of_assemble(self, reader: TopicReader, topic: str) -> Mapping[int, int]:
        return await asyncio.to_thread(reader.committed, topic)

    async def _positions_of_sink(self, reader: TopicReader, topic: str) -> Mapping[int, int]:
        rows = await self._connection.fetch(queries("audit")["positions"], [topic])
        return {row["partition"]: row["next_offset"] for row in rows}


def _first_record(
    reader: TopicReader, topic: str, begin: Mapping[int, int], ends: Mapping[int, int]
) -> Message | None:
    return next(reader.read(topic, begin, ends), None)


async def _each(several: list[Stored]) -> AsyncIterator[Stored]:
    for one in several:
        yield one
