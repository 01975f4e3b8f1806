"""The sink connector: stores topics in Postgres, with positions in the same transaction."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import asyncpg
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.postgres.ahead import PreparedAhead
from connectors.postgres.decoding import SINK_TOPICS, decode_batch
from connectors.postgres.held_partitions import HeldPartitions, Partition
from connectors.postgres.judging import Judging, QuarantineGate
from connectors.postgres.positions import Positions, ids_of_all_topics
from connectors.postgres.quarantine_writer import QuarantineWriter, SinkStopped
from connectors.postgres.reachable import Reachable
from connectors.postgres.sink_consumer import mirror, sink_consumer
from connectors.postgres.sink_status import status_of
from connectors.postgres.writer import OutOfStep, Placed, Refusing, Work, Writer
from schemas import metrics
from schemas.outcomes import Quarantine, Unavailable
from schemas.parked import Parked, show_parked
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.reconnection import ConsumerContact, metadata_within, renewed_admin
from storage.postgres.pool import refused, unavailable
from storage.waiting import BackOff, Deadline

log = structlog.get_logger()
T = TypeVar("T")

BATCH_RECORDS = 2_000
SMALLEST_SHARE = 64
"""The smallest part of a batch that is tried if Postgres does not write one in time."""
BATCHES_TAKEN = 4
"""The most batches taken at once, so that one is decoded while another is written."""
FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 0.2, 10.0
TAKE_AGAIN_SECONDS = 0.5
"""The interval between two tries to take over partitions that are not owned yet."""
TAKEN_SECONDS = 60.0
WATCH_SECONDS = 2.0
TOPICS_SECONDS = 30.0


class Sink:
    """A group consumer whose commit is a Postgres transaction.

    Fenced and SinkStopped end its role.
    """

    def __init__(
        self,
        settings: Settings,
        pool: "asyncpg.Pool[asyncpg.Record]",
        gate: QuarantineGate | None = None,
    ) -> None:
        self._names = Names(settings.namespace)
        self._pool = pool
        self._refused_records = QuarantineWriter(settings.kafka, self._names)
        self._judging = Judging(gate)
        self._writer = Writer(
            pool,
            f"{self._names.postgres_schema}_messages",
            self._refused_records.quarantine,
            self._refused_records.write_tombstones,
            self._judging.may_quarantine,
        )
        self._admin = renewed_admin(settings.kafka)
        self._positions = Positions(
            pool, self._admin, self._names, SINK_TOPICS, settings.kafka.partitions
        )
        self._consumer = sink_consumer(settings, self._names)
        self._contact = ConsumerContact(
            settings.kafka, self._consumer, self._names.topic("enriched-messages")
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sink")
        self._ended: set[Partition] = set()
        self._held = HeldPartitions()
        self._assignments = 0
        self._begins_again = False
        self._take_at = self._topics_at = 0.0
        self._share = 1
        self._trouble: BaseException | None = None
        self._stopping = False
        self._waiting = False
        self._reachable = Reachable({"postgres": self._check_postgres, "kafka": self._check_topics})
        self._refused_topics: dict[str, str] = {}
        self.assigned = False

    async def run(self) -> None:
        """The commit loop.

        1. Take what is there: the first record, then whatever is prefetched.
        2. Decode. Undecodable records are quarantined like rows that Postgres refuses.
        3. One Postgres transaction: rows and positions (connectors/postgres/writer.py).
        4. Copy the positions to Kafka, only for lag monitoring: Postgres has the truth.
        5. Take over partitions that another sink held until now, and look again at parked ones.
           If a position in Postgres differs from this sink's, read from there.
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
                self._positions.look_again()
                if self._positions.to_take or self._begins_again:
                    await self._begin_again()  # 5
        finally:
            await self._in_thread(self._consumer.close)

    @property
    def ready(self) -> bool:
        """True if the sink has its partitions, may read them, and reaches Postgres and Kafka."""
        trouble = (
            self._waiting
            or self._refused_topics
            or self._reachable.missing
            or self._positions.to_take
            or self._judging.is_shut
            or self.parked
        )
        return self.assigned and not trouble

    @property
    def parked(self) -> dict[Partition, Parked]:
        """The parked partitions with their reasons."""
        return self._positions.lost.parked | self._held.parked

    def status(self) -> dict[str, Any]:
        return status_of(set(self._reachable.missing), dict(self._refused_topics), self.parked)

    def refresh_metrics(self) -> None:
        """Updates the gauges that are computed when they are read."""
        show_parked("sink", self.parked.values())

    async def watch(self) -> None:
        """Checks Postgres and Kafka every WATCH_SECONDS, so that readiness needs no records."""
        await self._reachable.watch(WATCH_SECONDS)

    async def _check_postgres(self) -> None:
        await self._pool.fetchval("SELECT 1", timeout=5)

    async def _check_topics(self) -> None:
        there = (await asyncio.to_thread(self._admin.call, metadata_within(5))).topics
        missing = [name for name in SINK_TOPICS if self._names.topic(name) not in there]
        if missing:
            raise LookupError(f"topics are missing: {', '.join(missing)}")
        try:
            self._positions.check_counts({name: len(t.partitions) for name, t in there.items()})
            if time.monotonic() > self._topics_at:
                await self._know_topics()
        except SinkStopped as error:
            self._trouble = error  # the role ends with it

    def stop(self) -> None:
        """Stops after the current batch."""
        self._stopping = True

    async def _settle_all(self, messages: list[Message]) -> None:
        """Stores batch after batch.

        While Postgres merges one, a thread prepares the next. Batches that are dropped
        because of a stop or a new assignment are read again: their positions have not
        moved.
        """
        assignment = self._assignments
        size = max(1, BATCH_RECORDS // self._share)
        first, *following = [messages[at : at + size] for at in range(0, len(messages), size)]
        decoded = decode_batch(first, self._names, self._held)  # 2
        for batch in following:
            ahead = PreparedAhead(partial(decode_batch, batch, self._names, self._held))
            for work in decoded[1]:
                work.busy = ahead.start
            await self._settle(*decoded)
            decoded = await ahead.result()
            if self._stopping or assignment != self._assignments:
                return
        await self._settle(*decoded)

    async def _settle(
        self, undecodable: list[tuple[Placed, Quarantine]], works: list[Work]
    ) -> None:
        """Stores one batch, with retries; drops it on a stop or a new assignment."""
        assignment = self._assignments
        back_off = BackOff(FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS)
        while (undecodable or works) and assignment == self._assignments:
            try:
                if undecodable:
                    await self._quarantine_undecodable(undecodable, works)
                    undecodable = []
                while works and assignment == self._assignments:
                    await self._write(works[0])
                    works.pop(0)
            except OutOfStep as error:
                log.error("sink_out_of_step", detail=str(error))
                metrics.SINK_OUT_OF_STEP.inc()
                self._give_up_batches()
            except Exception as error:
                await self._wait_out(
                    error, sum(len(work.placed) for work in works), back_off.pause()
                )
                if self._stopping:
                    return

    async def _wait_out(self, error: Exception, records: int, seconds: float) -> None:
        """Waits if that may help, else raises.

        A batch that took too long is read again in parts.
        """
        is_refusal = isinstance(error, Refusing)
        trouble = Unavailable("refusals", detail=str(error)) if is_refusal else unavailable(error)
        if trouble is None:
            raise error
        if self._stopping:
            return
        log.warning("sink_waits", what=trouble.what, detail=trouble.detail, records=records)
        if refused(error):  # waiting alone will not help
            log.error("sink_refused", detail=str(error).partition("\n")[0])
        await self._wait_as_member(seconds)
        if isinstance(error, TimeoutError | asyncpg.QueryCanceledError):
            self._share = min(SMALLEST_SHARE, self._share * 2)
            self._give_up_batches()

    def _give_up_batches(self) -> None:
        """Drops the current batches and has all partitions taken again, with their positions."""
        self._positions.take_again()
        self._assignments += 1
        self._begins_again = True

    async def _begin_again(self) -> None:
        """Takes over partitions that are free by now, and reads all from their positions."""
        if not self._begins_again and time.monotonic() < self._take_at:
            return
        before = len(self._positions.owned)
        await self._take_over()
        if not self._begins_again and len(self._positions.owned) == before:
            return
        self._begins_again = False
        self._held = HeldPartitions()  # the records of newer programs are read again
        begins = self._positions.begins()

        def assign() -> None:
            self._consumer.assign(begins)
            self._consumer.resume(begins)

        await self._in_thread(assign)
        log.info("sink_begins_again", partitions=len(begins))

    async def _take_over(self) -> None:
        """Takes over the partitions that are free; others are tried later. Raises SinkStopped."""
        self._take_at = time.monotonic() + TAKE_AGAIN_SECONDS
        try:
            if self._positions.to_take:
                await self._positions.take()
                await self._know_topics()
        except Exception as error:
            trouble = unavailable(error)
            if trouble is None:
                raise
            log.warning("sink_waits", what=trouble.what, detail=trouble.detail)

    async def _know_topics(self) -> None:
        """Looks up the current topics: one that was deleted and recreated has another id."""
        self._topics_at = time.monotonic() + TOPICS_SECONDS
        ids = await asyncio.to_thread(
            self._admin.call, lambda admin: ids_of_all_topics(admin, self._names)
        )
        self._positions.check_ids(ids)
        self._writer.topic_ids = ids

    async def _quarantine_undecodable(
        self, undecodable: list[tuple[Placed, Quarantine]], works: list[Work]
    ) -> None:
        placed = [one for work in works for one in work.placed]
        if not await self._judging.may_quarantine(placed, undecodable):
            raise Refusing(f"{len(undecodable)} records that cannot be decoded")
        await self._refused_records.quarantine(undecodable)
        metrics.SINK_ROWS.labels("enriched-messages", "quarantined").inc(len(undecodable))

    async def _write(self, work: Work) -> None:
        began = time.monotonic()
        if not work.ends.keys() <= self._positions.owned.keys():
            self._give_up_batches()
            return
        positions = self._positions.continued(work.ends)
        written = await self._writer.write(work, positions)  # 3
        self._positions.moved(positions)
        self._share = max(1, self._share // 2)
        if not written.unstorable:
            await self._judging.stored(work.placed)
        metrics.SINK_COMMIT.observe(time.monotonic() - began)
        metrics.SINK_ROWS.labels("enriched-messages", "written").inc(written.rows)
        metrics.SINK_ROWS.labels("enriched-messages", "unchanged").inc(written.unchanged)
        metrics.SINK_ROWS.labels("enriched-messages", "quarantined").inc(written.unstorable)
        mirror(self._consumer, self._names, positions)  # 4

    def _take(self) -> list[Message]:
        messages: list[Message] = []
        for topic, partition in self._ended:  # everything before the end is stored by now
            if not self._held.holds((topic, partition)):
                metrics.SINK_LAG.labels(self._names.logical(topic), partition).set(0)
        self._ended.clear()
        for count, seconds in ((1, 0.25), (BATCHES_TAKEN * BATCH_RECORDS - 1, 0)):
            assignment = self._assignments
            messages += filter(self._is_record, self._consumer.consume(count, seconds))
            if not messages:
                self._contact.check()
                break
            self._contact.note_contact()
            if count > 1 and assignment != self._assignments:  # records of both assignments
                self._begins_again = True
                return []
        return messages

    def _is_record(self, message: Message) -> bool:
        """True for a record. Notes the end of a partition; raises errors that do not pass."""
        error, topic = message.error(), message.topic() or ""
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            self._refused_topics.pop(topic, None)
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._ended.add((message.topic() or "", message.partition() or 0))
        elif (
            error.fatal() or error.code() == KafkaError._FATAL
        ):  # a message's error shows it only by its code
            raise KafkaException(error)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # the log does not have its position
            self._positions.refused((topic, message.partition() or 0), error.str())
        elif topic and not error.retriable() and error.name() != self._refused_topics.get(topic):
            # No such topic, or no right to read it: logged once; not ready until it works.
            log.error("sink_cannot_read", topic=topic, error=error.name())
            self._refused_topics[topic] = error.name()
        return False

    async def _wait_as_member(self, seconds: float) -> None:
        """Waits while polling with all partitions paused, so that the group keeps this member."""
        deadline = Deadline(seconds)

        def poll_paused() -> None:
            self._waiting = True
            self._consumer.pause(self._consumer.assignment())
            while not deadline.has_passed and not self._stopping:
                message = self._consumer.poll(min(0.2, deadline.left))
                if message is not None and self._is_record(message):
                    self._give_up_batches()  # otherwise this record would be lost
            self._waiting = False
            self._consumer.resume(self._consumer.assignment())

        await self._in_thread(poll_paused)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Called inside `consume`.

        Partitions begin at their position in Postgres, as they get free.
        """
        self._assignments += 1
        self._held = HeldPartitions()
        try:
            self._positions.assign((one.topic, one.partition) for one in partitions)
            taking = asyncio.run_coroutine_threadsafe(self._take_over(), self._loop)
            taking.result(TAKEN_SECONDS)
            begins = self._positions.begins()
            consumer.assign(begins)
            # A pause outlives an assignment: a returning partition would stay paused.
            (consumer.pause if self._waiting else consumer.resume)(begins)
            self.assigned, self._refused_topics = True, {}
            log.info("sink_partitions_assigned", partitions=len(partitions), begun=len(begins))
        except Exception as error:
            self._trouble = error

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignments += 1
        self._held = HeldPartitions()
        self._positions.lose((one.topic, one.partition) for one in partitions)
        for one in partitions:  # the lag of another sink's partition is not this one's
            with suppress(KeyError):
                metrics.SINK_LAG.remove(self._names.logical(one.topic), str(one.partition))
        self.assigned = False  # until the group gives this sink its next assignment

    def _in_thread(self, call: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
