"""The positions from which a sink continues in its partitions.

Postgres has the truth; this is a copy, which each write checks.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import structlog
from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors.postgres.held_partitions import Partition
from connectors.postgres.lost_positions import LostPositions, PositionInLog
from connectors.postgres.quarantine_writer import SinkStopped
from connectors.postgres.writer import Position
from schemas.pipeline import TopicName
from schemas.topics import TOPICS, Names
from storage.kafka.reconnection import Renewed
from storage.postgres.sql import queries

log = structlog.get_logger()
TAKE_SECONDS = 10.0
HELD_SECONDS = 12.0
"""How long a transaction of a former owner may hold a position before it is ended.

Usually the server ends it earlier (`SessionLimits`).
"""
ADMIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Owned:
    """A partition that this sink owns.

    `next_offset` is -1 if no sink has read from it yet. `low` is the first offset that the
    log still has, as far as known.
    """

    next_offset: int
    epoch: int
    low: int = 0

    @property
    def begin(self) -> int:
        """The offset to read from."""
        return max(self.next_offset, self.low) if self.next_offset >= 0 else OFFSET_BEGINNING


class Positions:
    """The sink's partitions and its positions in them.

    `to_take` are the partitions that the group has assigned and that are not owned in
    Postgres yet. Each is taken separately. If its position is still locked by a
    transaction of another sink, it waits for at most HELD_SECONDS, and the others begin.
    If its position is not in the log, it is parked.
    """

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        admin: Renewed[AdminClient],
        names: Names,
        topics: Iterable[TopicName],
        partitions: int,
    ) -> None:
        self._pool = pool
        self._admin = admin
        self._names = names
        self._topics = [names.topic(name) for name in topics]
        self._sql = queries("sink")
        self._partitions = partitions
        self._topic_ids: dict[str, str] = {}
        self.owned: dict[Partition, Owned] = {}
        self.to_take: set[Partition] = set()
        self.lost = LostPositions()

    def assign(self, places: Iterable[Partition]) -> None:
        self.to_take |= set(places)

    def lose(self, places: Iterable[Partition]) -> None:
        """Removes partitions that the group has assigned to another member."""
        gone = list(places)
        for place in gone:
            self.owned.pop(place, None)
            self.to_take.discard(place)
        self.lost.forget(gone)

    def refused(self, place: Partition, answer: str) -> None:
        """Marks a partition to be taken again: the brokers have no records at its position."""
        if self.owned.pop(place, None) is not None:
            self.to_take.add(place)
            self.lost.refused(place, answer)

    def look_again(self) -> None:
        """Marks the parked partitions to be taken again whose time has come."""
        self.to_take |= set(self.lost.due())

    def take_again(self) -> None:
        """Marks all partitions to be taken again, because Postgres and this copy disagree."""
        self.to_take |= set(self.owned)
        self.owned.clear()

    def begins(self) -> list[TopicPartition]:
        """The owned partitions, each with the offset to read from."""
        return [TopicPartition(*place, at.begin) for place, at in self.owned.items()]

    def continued(self, ends: dict[Partition, int]) -> list[Position]:
        """The positions of a batch with these ends: from where, to where, and under which epoch."""
        return [
            Position(*place, next_offset, self.owned[place].epoch, self.owned[place].next_offset)
            for place, next_offset in ends.items()
        ]

    def moved(self, positions: Iterable[Position]) -> None:
        """Notes that these positions are committed."""
        for one in positions:
            self.owned[one.topic, one.partition] = Owned(one.next_offset, one.epoch)

    async def take(self) -> None:
        """Takes over the partitions of `to_take` that are free.

        Raises SinkStopped, and what Postgres and Kafka raise.
        """
        places = sorted(self.to_take)
        if not places:
            return
        topic_ids = await asyncio.to_thread(self._admin.call, self._look)
        topics = [topic for topic, _ in places]
        partitions = [partition for _, partition in places]
        async with asyncio.timeout(TAKE_SECONDS):
            beyond = await self._pool.fetch(
                self._sql["positions_beyond"], self._topics, self._partitions
            )
            self._check_known(beyond)
            await self._pool.execute(
                self._sql["know_partitions"], topics, partitions, [topic_ids[t] for t in topics]
            )
            rows = await self._pool.fetch(self._sql["take_partitions"], topics, partitions)
        taken = [(row["topic"], row["partition"]) for row in rows]
        bounds = await asyncio.to_thread(self._admin.call, partial(self._bounds, taken))
        for row in rows:
            place = (row["topic"], row["partition"])
            self._check_id(row, topic_ids[row["topic"]])
            await self._take_one(place, row, *bounds[place])
        if len(rows) < len(places):
            log.warning("sink_partitions_held", partitions=len(places) - len(rows))
            await self._end_holders(sorted(set(places) - set(taken)))

    async def _end_holders(self, held: list[Partition]) -> None:
        """Ends the transactions of former owners that have held these positions for too long."""
        topics, partitions = [topic for topic, _ in held], [number for _, number in held]
        async with asyncio.timeout(TAKE_SECONDS):
            ended = await self._pool.fetch(
                self._sql["end_holders"], topics, partitions, timedelta(seconds=HELD_SECONDS)
            )
        for row in ended:
            log.error("sink_holder_ended", pid=row["pid"], ended=row["ended"])

    async def _take_one(self, place: Partition, row: "asyncpg.Record", low: int, high: int) -> None:
        """Becomes the owner of a partition, parks it, or leaves it to be looked at again."""
        at = PositionInLog(row["next_offset"], row["lost_end"], low, high)
        if self.lost.is_unsettled(place, at):
            return
        logical = self._names.logical(place[0])
        may_expire = TOPICS[logical].cleanup == "delete"  # type: ignore[index]
        loss = self.lost.loss(place, at, may_expire=may_expire)
        if loss is not None:
            if loss.end is not None:
                async with asyncio.timeout(TAKE_SECONDS):
                    await self._pool.execute(
                        self._sql["note_lost_end"], *place, row["epoch"], loss.end
                    )
            self.lost.park(place, loss)
        else:
            # Receipts are written in transactions, and the last marker is no record.
            if 0 <= at.next_offset < low - (logical == "receipts"):
                log.error(
                    "records_deleted_unread",
                    topic=place[0],
                    partition=place[1],
                    position=at.next_offset,
                    first=low,
                )
            self.lost.forget([place])
            self.owned[place] = Owned(at.next_offset, row["epoch"], low)
        self.to_take.discard(place)

    def _check_id(self, row: "asyncpg.Record", topic_id: str) -> None:
        if row["topic_id"] != topic_id:
            raise SinkStopped(
                f"the sink stopped: {row['topic']} on this cluster has id {topic_id}, but the "
                f"position in Postgres belongs to the topic with id {row['topic_id']}. The topic "
                "was deleted and created again, or this is another cluster. If Kafka was "
                "lost: sensorium recover kafka; otherwise check "
                "SENSORIUM_KAFKA__BOOTSTRAP_SERVERS"
            )

    def _bounds(
        self, places: list[Partition], admin: AdminClient
    ) -> dict[Partition, tuple[int, int]]:
        """First and end offsets, from the admin client.

        The consumer may be inside its callback and must not be called.
        """
        partitions = {place: TopicPartition(*place) for place in places}
        specs: Any = OffsetSpec
        first, end = (
            admin.list_offsets(
                dict.fromkeys(partitions.values(), spec), request_timeout=ADMIN_SECONDS
            )
            if partitions
            else {}
            for spec in (specs.earliest(), specs.latest())
        )
        return {
            place: (first[at].result(ADMIN_SECONDS).offset, end[at].result(ADMIN_SECONDS).offset)
            for place, at in partitions.items()
        }

    def _look(self, admin: AdminClient) -> dict[str, str]:
        """The ids of the topics.

        Raises SinkStopped if one has another number of partitions.
        """
        futures = admin.describe_topics(TopicCollection(self._topics), request_timeout=20)
        described = {name: future.result(20) for name, future in futures.items()}
        self.check_counts({name: len(one.partitions) for name, one in described.items()})
        self._topic_ids = {name: str(one.topic_id) for name, one in described.items()}
        return self._topic_ids

    def check_counts(self, counts: Mapping[str, int]) -> None:
        """Raises SinkStopped if a topic has another number of partitions than the setting."""
        for topic in self._topics:
            count = counts.get(topic, self._partitions)
            if count != self._partitions:
                raise SinkStopped(
                    f"the sink stopped: {topic} has {count} partitions, but "
                    f"SENSORIUM_KAFKA__PARTITIONS is {self._partitions}. Partitions were added "
                    "to the topic, it was created again, or this sink has another setting than "
                    "the other roles. See 'Another number of partitions' in docs/operating.md"
                )

    def check_ids(self, ids: Mapping[str, str]) -> None:
        """Raises SinkStopped if a topic is not the one that the positions belong to.

        `ids` are by name without the namespace.
        """
        for topic, known in self._topic_ids.items():
            there = ids.get(self._names.logical(topic), known)
            if there != known:
                raise SinkStopped(
                    f"the sink stopped: {topic} had id {known} and now has id {there}. It was "
                    "deleted and created again while the sink ran. If Kafka was lost: "
                    "sensorium recover kafka"
                )

    def _check_known(self, beyond: "list[asyncpg.Record]") -> None:
        if beyond:
            places = ", ".join(f"{row['topic']}[{row['partition']}]" for row in beyond)
            raise SinkStopped(
                f"the sink stopped: Postgres has positions in {places}, but "
                f"SENSORIUM_KAFKA__PARTITIONS is {self._partitions}. The topics had more "
                "partitions before. See 'Another number of partitions' in docs/operating.md"
            )


def ids_of_all_topics(admin: AdminClient, names: Names) -> dict[str, str]:
    """The ids of the existing topics, by name without the namespace. Blocks."""
    topics = TopicCollection([names.topic(name) for name in TOPICS])
    found = {}
    for name, future in admin.describe_topics(topics, request_timeout=ADMIN_SECONDS).items():
        with suppress(KafkaException):
            found[names.logical(name)] = str(future.result(ADMIN_SECONDS).topic_id)
    return found
