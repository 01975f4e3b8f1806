"""The sink connector: enriched-messages and quarantine into Postgres, positions in the same transaction."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncpg
import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors.postgres.aside import Aside, SinkStopped
from connectors.postgres.rows import ended_by
from connectors.postgres.writer import Placed, Position, Stored, Work, Writer
from schemas import metrics
from schemas.codec import Undecodable, decode
from schemas.records import EnrichedMessage, Quarantined, Receipt, Source
from schemas.settings import Settings
from schemas.topics import Names, TopicName
from storage.kafka.client import client_config, reader_config
from storage.postgres.pool import unavailable
from storage.postgres.sql import queries

log = structlog.get_logger()
T = TypeVar("T")

SINK_TOPICS: dict[TopicName, type[Stored]] = {
    "enriched-messages": EnrichedMessage,
    "quarantine": Quarantined,
    "receipts": Receipt,
}
BATCH_RECORDS = 2_000
BATCHES_TAKEN = 4
"""At most this many at once, so that there is one to decode while Postgres writes another."""
LONGEST_BACK_OFF_SECONDS = 10.0
LONGEST_TAKE_OVER_SECONDS = 2.0
"""The same before a partition is taken over: nothing polls meanwhile, and nothing looks whether to stop."""
WATCH_SECONDS = 2.0


class Sink:
    """A group consumer whose commit is a Postgres transaction. `run` returns when stopped; Fenced and SinkStopped end the role."""

    def __init__(self, settings: Settings, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._names = Names(settings.namespace)
        self._pool = pool
        self._aside = Aside(settings.kafka, self._names)
        self._writer = Writer(
            pool,
            f"{self._names.postgres_schema}_messages",
            self._aside.quarantine,
            self._aside.bury,
        )
        self._admin = AdminClient(client_config(settings.kafka))
        instance = (
            {"group.instance.id": f"{self._names.group('sink')}-{settings.worker.name}"}
            if settings.worker.name
            else {}
        )
        self._consumer = Consumer(
            reader_config(settings.kafka, self._names.group("sink"))
            | instance
            | {
                "session.timeout.ms": int(settings.kafka.session_timeout_seconds * 1000),
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "fetch.queue.backoff.ms": 2,
                "queued.max.messages.kbytes": 32_768,
                "check.crcs": False,
            }
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sink")
        self._epochs: dict[tuple[str, int], int] = {}
        self._ended: set[tuple[str, int]] = set()
        self._assignments = 0
        self._trouble: BaseException | None = None
        self._stopping = False
        self._waiting = False
        self._unreachable = {"postgres", "kafka"}
        self._refused_topics: dict[str, str] = {}
        self.assigned = False

    async def run(self) -> None:
        """The commit loop.

        1. Take what is there: the first record, then whatever is prefetched.
        2. Decode; what is not ours goes to quarantine like a row that does not fit.
        3. One Postgres transaction: rows and positions (connectors/postgres/writer.py).
        4. Mirror the positions to Kafka, for lag monitoring only: Postgres is the truth.
        """
        self._loop = asyncio.get_running_loop()
        topics = [self._names.topic(name) for name in SINK_TOPICS]
        await self._in_thread(
            lambda: self._consumer.subscribe(
                topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
        )
        try:
            while not self._stopping:
                messages = await self._in_thread(self._take)  # 1
                if self._trouble is not None:
                    raise self._trouble
                if messages:
                    await self._settle_all(messages)
        finally:
            await self._in_thread(self._consumer.close)

    @property
    def ready(self) -> bool:
        """Whether the sink does its work: it has its partitions, Kafka lets it read, and Postgres answers."""
        trouble = self._waiting or self._refused_topics or self._unreachable
        return self.assigned and not trouble

    async def watch(self) -> None:
        """Asks Postgres and Kafka every WATCH_SECONDS: readiness must know of trouble also while there is nothing to write."""

        async def topics_are_there() -> None:
            there = (await asyncio.to_thread(self._admin.list_topics, timeout=5)).topics
            missing = [name for name in SINK_TOPICS if self._names.topic(name) not in there]
            if missing:
                raise LookupError(f"no topic {', '.join(missing)}")

        async def pool_answers() -> None:
            await self._pool.fetchval("SELECT 1", timeout=5)

        while True:
            for part, answers in (("postgres", pool_answers), ("kafka", topics_are_there)):
                try:
                    await answers()
                    self._unreachable.discard(part)
                except Exception as error:  # whatever it is, the part does not work now
                    if part not in self._unreachable:
                        log.warning("sink_part_away", part=part, what=type(error).__name__)
                    self._unreachable.add(part)
            await asyncio.sleep(WATCH_SECONDS)

    def stop(self) -> None:
        """After the batch in hand."""
        self._stopping = True

    async def _settle_all(self, messages: list[Message]) -> None:
        """Batch after batch. While Postgres writes one, a thread decodes the next; nothing else happens at the same time.

        What is given up, because it was told to stop or the assignment changed, is read again: its positions have not moved.
        """
        assignment = self._assignments
        first, *following = [
            messages[at : at + BATCH_RECORDS] for at in range(0, len(messages), BATCH_RECORDS)
        ]
        decoded = self._decode(first)  # 2
        for batch in following:
            ahead = asyncio.ensure_future(asyncio.to_thread(self._decode, batch))
            await self._settle(*decoded)
            decoded = await ahead
            if self._stopping or assignment != self._assignments:
                return
        await self._settle(*decoded)

    async def _settle(self, undecodable: list[tuple[Placed, str]], works: list[Work]) -> None:
        """One batch to its end: again and again while Postgres is away, given up when the assignment changed under it or when told to stop."""
        assignment, back_off = self._assignments, 0.2
        while (undecodable or works) and assignment == self._assignments:
            try:
                if undecodable:
                    await self._aside.quarantine(undecodable)
                    metrics.SINK_ROWS.labels("enriched-messages", "quarantined").inc(
                        len(undecodable)
                    )
                    undecodable = []
                while works and assignment == self._assignments:
                    await self._write(works[0])
                    works.pop(0)
            except Exception as error:
                trouble = unavailable(error)
                if trouble is None:
                    raise
                if self._stopping:
                    return
                log.warning(
                    "sink_waits",
                    what=trouble.what,
                    detail=trouble.detail,
                    records=sum(len(work.placed) for work in works),
                )
                await self._wait_as_member(back_off)
                back_off = min(LONGEST_BACK_OFF_SECONDS, back_off * 2)

    async def _write(self, work: Work) -> None:
        began = time.monotonic()
        written = await self._writer.write(work)  # 3
        metrics.SINK_COMMIT.observe(time.monotonic() - began)
        metrics.SINK_ROWS.labels("enriched-messages", "written").inc(written.rows)
        metrics.SINK_ROWS.labels("enriched-messages", "unchanged").inc(written.unchanged)
        metrics.SINK_ROWS.labels("enriched-messages", "quarantined").inc(written.unstorable)
        self._mirror(list(work.positions.values()))  # 4

    def _decode(self, messages: list[Message]) -> tuple[list[tuple[Placed, str]], list[Work]]:
        """What is not ours, and the work: receipts apart. They touch rows of other sinks' messages: in one transaction with messages
        two sinks would wait for each other in a ring.
        """
        messages_work, receipts_work, undecodable = Work(), Work(), []
        for message in messages:
            topic, partition, offset = (
                message.topic() or "",
                message.partition() or 0,
                message.offset() or 0,
            )
            work = receipts_work if self._names.logical(topic) == "receipts" else messages_work
            work.positions[topic, partition] = Position(
                topic, partition, offset + 1, self._epochs.get((topic, partition), -1)
            )
            value = message.value()
            if value is None:
                if self._names.logical(topic) == "enriched-messages":
                    work.ended |= ended_by(message.key() or b"")
                continue
            logical = self._names.logical(topic)
            source = Source(topic=logical, partition=partition, offset=offset)
            try:
                work.placed.append(
                    Placed(
                        source,
                        decode(SINK_TOPICS[logical], value),  # type: ignore[index]
                        message.key() or b"",
                        value,
                        message.headers,
                    )
                )
            except Undecodable as error:
                undecodable.append(
                    (
                        Placed(source, None, message.key() or b"", value, message.headers),  # type: ignore[arg-type]
                        f"record_undecodable: {error}",
                    )
                )
        return undecodable, [work for work in (messages_work, receipts_work) if work.positions]

    def _take(self) -> list[Message]:
        messages: list[Message] = []
        for topic, partition in self._ended:  # and what came before is stored by now
            metrics.SINK_LAG.labels(self._names.logical(topic), partition).set(0)
        self._ended.clear()
        for count, seconds in ((1, 0.25), (BATCHES_TAKEN * BATCH_RECORDS - 1, 0)):
            messages += filter(self._is_record, self._consumer.consume(count, seconds))
            if not messages:
                break
        return messages

    def _is_record(self, message: Message) -> bool:
        """Whether it is one. Notes the end of a partition; raises for trouble that does not pass."""
        error, topic = message.error(), message.topic() or ""
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            self._refused_topics.pop(topic, None)
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._ended.add((message.topic() or "", message.partition() or 0))
        elif (
            error.fatal() or error.code() == KafkaError._FATAL
        ):  # of a message only the code says so
            raise KafkaException(error)
        elif topic and not error.retriable() and error.name() != self._refused_topics.get(topic):
            # No such topic, or no right to read it: logged once, and not ready until it gives again.
            log.error("sink_cannot_read", topic=topic, error=error.name())
            self._refused_topics[topic] = error.name()
        return False

    async def _wait_as_member(self, seconds: float) -> None:
        """Waits, but goes on polling with everything paused: the group must not take us for dead, and may give partitions and take them away."""
        deadline = time.monotonic() + seconds

        def poll_paused() -> None:
            self._waiting = True
            self._consumer.pause(self._consumer.assignment())
            while time.monotonic() < deadline and not self._stopping:
                message = self._consumer.poll(min(0.2, max(0.0, deadline - time.monotonic())))
                assert message is None or not self._is_record(
                    message
                )  # it would be passed over: the role ends, and the next one reads it
            self._waiting = False
            self._consumer.resume(self._consumer.assignment())

        await self._in_thread(poll_paused)

    def _mirror(self, positions: list[Position]) -> None:
        self._consumer.commit(
            offsets=[TopicPartition(p.topic, p.partition, p.next_offset) for p in positions],
            asynchronous=True,
        )
        for position in positions:
            high = self._consumer.get_watermark_offsets(
                TopicPartition(position.topic, position.partition), cached=True
            )[1]
            # Until the end-of-partition event: transaction markers take offsets too and are never delivered.
            metrics.SINK_LAG.labels(self._names.logical(position.topic), position.partition).set(
                max(0, high - position.next_offset)
            )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """In the consumer's thread, inside `consume`: each partition begins where Postgres says."""
        self._assignments += 1
        try:
            future = asyncio.run_coroutine_threadsafe(self._take_over(partitions), self._loop)
            consumer.assign(future.result(120))
            # A pause outlives an assignment: a partition that comes back would stand still.
            (consumer.pause if self._waiting else consumer.resume)(partitions)
            self.assigned, self._refused_topics = True, {}
            log.info("sink_partitions_assigned", partitions=len(partitions))
        except Exception as error:
            self._trouble = error

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignments += 1
        for one in partitions:
            self._epochs.pop((one.topic, one.partition), None)
        self.assigned = False  # until the group gives this sink its next assignment

    async def _take_over(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Positions and epochs of newly assigned partitions. Waits while Postgres is away, until told to stop. Raises SinkStopped."""
        if not partitions:
            return []
        found = await asyncio.to_thread(self._topic_ids)
        back_off = 0.2
        while not self._stopping:
            try:
                return [await self._take_one(one, found[one.topic]) for one in partitions]
            except Exception as error:
                if (trouble := unavailable(error)) is None:
                    raise
                log.warning("sink_waits", what=trouble.what, detail=trouble.detail)
                await asyncio.sleep(back_off)
                back_off = min(LONGEST_TAKE_OVER_SECONDS, back_off * 2)
        return []

    async def _take_one(self, one: TopicPartition, topic_id: str) -> TopicPartition:
        row = await self._pool.fetchrow(
            queries("sink")["take_partition"], one.topic, one.partition, topic_id
        )
        assert row is not None
        if row["topic_id"] != topic_id:
            raise SinkStopped(
                f"{one.topic} on the cluster has id {topic_id}, Postgres stands in the one with id {row['topic_id']}: the topic was deleted and made "
                f"anew, or this is another cluster. If that is intended: DELETE FROM sink_offsets WHERE topic = '{one.topic}'"
            )
        next_offset = row["next_offset"]
        low, high = await asyncio.to_thread(self._bounds, one)
        if next_offset > high:
            raise SinkStopped(
                f"{one.topic}[{one.partition}] ends at {high}, Postgres stands at {next_offset}: the topic lost records, or this is another cluster"
            )
        if 0 <= next_offset < low and self._names.logical(one.topic) == "quarantine":
            log.error(
                "records_deleted_unread",
                topic=one.topic,
                partition=one.partition,
                position=next_offset,
                first=low,
            )
        self._epochs[one.topic, one.partition] = row["epoch"]
        return TopicPartition(
            one.topic, one.partition, next_offset if next_offset >= 0 else OFFSET_BEGINNING
        )

    def _bounds(self, one: TopicPartition) -> tuple[int, int]:
        """First and end offset, by the admin client: the consumer is inside its callback and must not be asked."""
        wanted = TopicPartition(one.topic, one.partition)
        specs: Any = OffsetSpec
        found = [
            self._admin.list_offsets({wanted: spec}, request_timeout=10)[wanted]
            for spec in (specs.earliest(), specs.latest())
        ]
        low, high = (future.result(10).offset for future in found)
        return low, high

    def _topic_ids(self) -> dict[str, str]:
        topics = [self._names.topic(name) for name in SINK_TOPICS]
        described = self._admin.describe_topics(TopicCollection(topics), request_timeout=20)
        return {name: str(future.result(20).topic_id) for name, future in described.items()}

    def _in_thread(self, call: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
