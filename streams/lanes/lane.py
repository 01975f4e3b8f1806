"""A lane processes one source partition with one pending transaction.

Any coroutine of the stage may add to it, and one task flushes it.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.parked import Parked, ParkedReason
from schemas.receipts import Line, Span
from schemas.settings import Kafka
from storage.kafka.reconnection import ConsumerContact
from streams.lanes.kafka_errors import is_passing
from streams.lanes.pace import Pace, Rhythm
from streams.lanes.receipts import count
from streams.lanes.rereads import RecordsBehind
from streams.lanes.state import PartitionState
from streams.lanes.transactions import (
    Abandoned,
    LaneIdentity,
    OffsetLost,
    PartitionTransactions,
    Transaction,
    Write,
)

log = structlog.get_logger()
T = TypeVar("T")

STUCK_SECONDS = 15.0
"""A commit that takes longer never returns, and ends the lane.

librdkafka's send_offsets can ignore its own timeout of 10 s. This happens in the first
transaction after a broker was away, in one stage after the other, so each stage waits
this long.
"""

PARKED_LOOK_SECONDS = 0.2
LOOK_SECONDS = 0.25
QUIET_LOOK_SECONDS = 1.0
QUIET_SECONDS = 5.0
"""A lane that received no record for this long is idle."""
MARKERS_SECONDS = 600.0
"""The quiet time after which a lane moves its position over transaction markers.

It is far shorter than the retention of any topic.
"""


class Intake(Protocol):
    """Turns source records into work. `run` is called once per lane."""

    async def run(self, lane: "Lane") -> None:
        """Reads records and adds to the lane until `lane.stopping`.

        An exception ends the lane.
        """
        ...

    def dropped(self, lane: "Lane") -> None:
        """Discards all work of a lane that has ended. None of it may start any more."""
        ...


class Lane:
    """Opens a partition (fence, load, position), commits what is added, and closes it.

    All coroutines run in the worker's event loop.
    """

    def __init__(
        self,
        settings: Kafka,
        identity: LaneIdentity,
        state: PartitionState,
        intake: Intake,
        pace: Pace,
    ) -> None:
        self.identity = identity
        self.partition = identity.partition
        self.state = state
        self.pace = pace
        self.stopping = False
        self.ready = False
        self.parked: Parked | None = None
        self.position = 0
        self._end_seen = 0
        self._delivered = 0
        self._high = -1
        self.source: Consumer | None = None
        self._contact: ConsumerContact | None = None
        self.commit_seconds: Callable[[float], None] = lambda seconds: None
        self.held: Callable[[], bool] = lambda: False
        """Returns True while the lane must not commit, whatever was added."""
        self._settings = settings
        self._transactions = PartitionTransactions(settings, identity)
        self._behind = RecordsBehind(settings, identity)
        self._ledger = identity.ledger
        self._receipt_key = f"{identity.stage}:{identity.partition}".encode()
        self._intake = intake
        self._threads = ThreadPoolExecutor(2, thread_name_prefix=f"lane-{identity.partition}")
        self._wake = asyncio.Event()
        self._rhythm = Rhythm(pace)
        self._quiet_since = time.monotonic()
        self._pending = Transaction()
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Takes the partition over, processes it, and releases it at the end.

        Returns when the lane is stopped. Raises the error that ended it otherwise.
        """
        try:
            start = await self._in_thread(self._transactions.open, self.state)
            if self.stopping:
                return
            self.position = self._delivered = start or 0
            self.source = await self._in_thread(self._transactions.source_consumer, start)
            self._contact = ConsumerContact(self._settings, self.source, self.identity.source)
            log.info(
                "lane_ready", source=self.identity.source, partition=self.partition, offset=start
            )
            self.ready = True
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._intake.run(self))
                tasks.create_task(self._flush())
        except Abandoned:
            return
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self.ready, self.stopping = False, True
            self._intake.dropped(self)
            self._close()

    def add(
        self,
        writes: list[Write],
        changelog: list[tuple[bytes, bytes | None]],
        lines: list[Line],
        next_offset: int | None = None,
    ) -> "asyncio.Future[None]":
        """Adds to the lane's next transaction.

        The returned future resolves when that transaction is committed. It never
        resolves if the lane is lost.

        `lines` state the outcome of each source record. They are written as receipts,
        and counted after the commit.
        """
        self._pending.writes += writes
        self._pending.changelog += changelog
        self._pending.lines += lines
        if next_offset is not None:
            self._pending.next_offset = next_offset
        self._wake.set()
        return self._settled

    def stop(self) -> None:
        """Stops intake.

        Whatever was added is still committed, unless the next owner fences the lane
        first. Both are correct.
        """
        self.stopping = True
        self._transactions.abandon()
        self._wake.set()

    def park(self, reason: ParkedReason, detail: str) -> None:
        """Marks the partition as parked and logs it, once.

        This program cannot continue in the partition, and a restart would not help.
        """
        if self.parked is None:
            self.parked = Parked(reason, detail)
            log.error(
                "partition_parked",
                stage=self.identity.stage,
                source=self.identity.source,
                partition=self.partition,
                reason=reason,
                detail=detail,
            )

    async def stopped(self) -> None:
        """Returns once the lane is stopping."""
        while not self.stopping:
            await asyncio.sleep(PARKED_LOOK_SECONDS)

    async def fetch(self) -> list[Message]:
        """Returns the next records, or an empty list if none arrives within a short wait.

        Takes all records that are already fetched, up to a batch. If they do not fill a
        batch, more may arrive until the next transaction may begin. This way an idle
        lane reacts quickly, and a busy lane writes few transactions.
        """
        messages = await self._in_thread(self._take, self.pace.batch_records, self._patience())
        if messages and not self.stopping:
            self._quiet_since = time.monotonic()
            if len(messages) < self.pace.batch_records and await self._keep_gap():
                messages += await self._in_thread(
                    self._take, self.pace.batch_records - len(messages), 0.0
                )
        elif not messages:
            await self._pass_markers()
        return messages

    async def _pass_markers(self) -> None:
        """Moves the position of a quiet lane to the end, over transaction markers.

        Markers are never delivered, so the position stays before the last one. When
        retention has deleted that one too, no lane could begin there any more. Moves
        nothing while a delivered record is not settled.
        """
        end = self._end_seen  # before `_delivered`, which the lane's thread sets first
        if self.stopping or end <= self.position or self._delivered > self.position:
            return
        if time.monotonic() - self._quiet_since > MARKERS_SECONDS:
            await self.add([], [], [], end)

    def _patience(self) -> float:
        """The seconds that the lane's thread waits for a record.

        Each poll costs a little, so an idle lane polls rarely. A lane cannot be stopped
        during the wait, so a lane with work waits less.
        """
        is_quiet = time.monotonic() - self._quiet_since > QUIET_SECONDS
        return QUIET_LOOK_SECONDS if is_quiet else LOOK_SECONDS

    async def read_again(self, offset: int) -> bytes | None:
        """The value at an offset that was already read, or None if it is no longer there.

        Raises Unavailable.
        """
        return await self._behind.read(offset)

    def lag(self) -> int | None:
        """The number of records up to the last stable offset that are not committed.

        Uses the last stable offset that librdkafka last received. None if it is not
        known or the lane is not ready. Transaction markers also take offsets but are
        never delivered, so the offset of the end-of-partition event counts as well.
        """
        if not self.ready or self._high < 0:
            return None
        return max(0, self._high - max(self.position, self._end_seen))

    def _take(self, count: int, seconds: float) -> list[Message]:
        """Takes up to `count` records. Waits up to `seconds` for the first record only.

        Raises OffsetLost if the source no longer holds the lane's position.
        """
        assert self.source is not None and self._contact is not None
        found = self.source.consume(1, seconds)
        if found:
            self._contact.note_contact()
        else:
            self._contact.check()
        if found and count > 1:
            found += self.source.consume(count - 1, 0)
        good = []
        for message in found:
            error = message.error()
            if error is None:
                good.append(message)
                self._delivered = (message.offset() or 0) + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._end_seen = message.offset() or 0
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise OffsetLost(
                    f"{self.identity.source}[{self.partition}] does not hold offset "
                    f"{self.position}, which group {self.identity.group} has committed: "
                    "records were deleted before they were read, or the topic was "
                    "created again. Reset the group's offset to continue"
                )
            elif not is_passing(error):
                raise KafkaException(error)
        # Read here and not in `lag`: from another thread, even reading the cached
        # watermark blocks until a running consume() returns, which can take seconds.
        self._high = self.source.get_watermark_offsets(
            TopicPartition(self.identity.source, self.partition), cached=True
        )[1]
        return good

    async def _keep_gap(self) -> bool:
        """Waits until the next transaction may begin. True if it had to wait."""
        gap = self._rhythm.left(time.monotonic())
        if gap > 0 and not self.stopping:
            await asyncio.sleep(gap)
        return gap > 0

    async def _flush(self) -> None:
        """Commits what was added until the lane is stopped and has nothing pending.

        Commits at most one transaction per gap, unless it is full.
        """
        while True:
            # After a stop nothing needs to wake this task: it must not wait again.
            if not self.stopping:
                await self._wake.wait()
            if len(self._pending.lines) < self.pace.batch_records:
                await self._keep_gap()
            while self.held():
                if self.stopping:
                    # Nothing of this is committed: the next owner reads it again. Without
                    # the cancel, the code that added it, and so the lane, would wait forever.
                    self._settled.cancel()
                    return
                await asyncio.sleep(PARKED_LOOK_SECONDS)
            self._wake.clear()
            # No await in between: each future belongs to exactly one transaction.
            transaction, settled = self._pending, self._settled
            self._pending, self._settled = Transaction(), asyncio.get_running_loop().create_future()
            if not transaction:
                if self.stopping:
                    return
                continue
            self._rhythm.begins(time.monotonic())
            async with asyncio.timeout(STUCK_SECONDS):
                seconds = await self._in_thread(self._commit, transaction)
            self._rhythm.took(seconds)
            self.commit_seconds(seconds)
            if transaction.next_offset is not None:
                self.position = transaction.next_offset
            count(self.identity.stage, transaction.lines)
            settled.set_result(None)

    def _commit(self, transaction: Transaction) -> float:
        """Commits the transaction with its receipts and returns seconds.

        Runs in the lane's thread.
        """
        moved = self.position if transaction.next_offset is None else transaction.next_offset
        for receipt in self._ledger.receipts(Span(self.position, moved), transaction.lines):
            transaction.writes.append(
                Write(self.identity.receipts, self._receipt_key, receipt, self.partition, [])
            )
        return self._transactions.commit(transaction)

    def _in_thread(self, call: Callable[..., T], *arguments: object) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _close(self) -> None:
        """Closes all clients in a separate thread.

        Closing a consumer can take a second, and nothing needs to wait for it.
        """

        def close() -> None:
            self._threads.shutdown(wait=True)
            if self.source is not None:
                self.source.close()
            self._behind.close()
            self._transactions.close()

        threading.Thread(target=close, name=f"close-lane-{self.partition}", daemon=True).start()
