"""The transactional side of one source partition. Calls block: use the lane's own thread."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from schemas.headers import Headers
from schemas.pipeline import Stage
from schemas.receipts import Ledger, Line
from schemas.settings import Kafka
from schemas.topics import Names
from storage import failpoints
from storage.kafka.client import reader_config, transactional_producer_config
from storage.kafka.counts import REMEDY
from storage.waiting import BackOff, Deadline
from streams.errors import StreamsError
from streams.lanes.kafka_errors import is_fenced, is_passing
from streams.lanes.state import PartitionState

CALL_SECONDS = 10.0
OPEN_SECONDS = 60.0
SLOW_SECONDS = 5.0
"""A fence that takes longer means slow brokers. It takes 0.5 to 2.3 s, even after a restart."""
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0
PATIENCE_SECONDS = 300.0
"""The longest time to wait for fast brokers. Brokers that are slow for longer stay slow."""
log = structlog.get_logger()
T = TypeVar("T")


class OffsetMissing(StreamsError):
    """The table has contents, but no offset is committed. From 0 all would be forwarded again."""


class OffsetLost(StreamsError):
    """The log no longer holds the committed offset (retention, or another topic)."""


class PartitionMissing(StreamsError):
    """The table lacks a partition of its source, to which partitions were added."""


class UndeclaredOutput(StreamsError):
    """A bug: the stage writes to a topic that schemas/pipeline.py does not declare."""


class Abandoned(StreamsError):
    """The partition was revoked before it was fenced. Fencing now would hit the new owner."""


class Write(NamedTuple):
    """One encoded record. Its partition comes from the number of them in the settings
    (`schemas/keys.py`): the client may know of partitions that were added to the topic.
    """

    topic: str
    key: bytes
    value: bytes | None
    partition: int
    headers: Headers


_OutputRecord = tuple[str, bytes, bytes | None, int, Headers]
"""A `Write` as a plain tuple, which is cheaper for many changelog records."""
_NO_HEADERS: Headers = []


@dataclass(slots=True)
class Transaction:
    """Everything that is committed together. `lines` become receipts."""

    writes: list[Write] = field(default_factory=list)
    changelog: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    next_offset: int | None = None  # None: the source position does not move
    lines: list[Line] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.writes or self.changelog) or self.next_offset is not None


@dataclass(frozen=True, slots=True)
class LaneIdentity:
    """The partition of a lane and the full names (with namespace) of its topics and group.

    The transactional id must not name a worker: owners fence each other by sharing it.
    """

    stage: Stage
    group: str
    source: str
    changelog: str
    receipts: str
    partition: int
    outputs: frozenset[str]
    """The topics that the stage may write to, including its receipts."""
    names: Names

    @property
    def transactional_id(self) -> str:
        return f"{self.group}-{self.names.logical(self.source)}-{self.partition}"

    @property
    def begins_with_claims(self) -> bool:
        """True for dedupe of a further set of topics, which takes over claims."""
        return self.stage == "dedupe" and self.names.is_further_set

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.stage, self.names.logical(self.source), self.partition)


def headers_of(message: Message) -> Headers:
    """The record's headers. A header without a value gets an empty one."""
    found: Any = message.headers() or ()
    return [(name, value or b"") for name, value in found]


class PartitionTransactions:
    """Fences, loads, and commits transactions for a source partition."""

    def __init__(self, settings: Kafka, identity: LaneIdentity) -> None:
        self.identity = identity
        self._settings = settings
        self._group: Consumer | None = None
        self._abandoned = False

    def open(self, state: PartitionState) -> int | None:
        """Takes the partition over and returns the offset at which to continue.

        Returns None if the table is empty and the source is read from the beginning.

        1. Fence: `init_transactions` aborts or completes the former owner's open
           transaction and stops that owner permanently.
        2. Load the changelog up to the last stable offset. No other process writes to
           it any more.
        3. Read the committed offset, not earlier, because step 1 may have moved it by
           completing a transaction of the former owner.
        """
        self._fence_once_brokers_are_quick()  # 1
        loaded = state.load(self._changelog())  # 2
        # Never subscribed: it only carries the group's name. The broker checks group
        # membership for members only; the transactional id is what fences.
        self._group = Consumer(reader_config(self._settings, self.identity.group))
        self._group_metadata = self._group.consumer_group_metadata()
        position = self._retry(self._committed, OPEN_SECONDS)  # 3
        if position >= 0:
            return position
        identity = self.identity
        source = f"{identity.source}[{identity.partition}]"
        if identity.begins_with_claims:
            raise OffsetMissing(
                f"{source} begins with the claims of the topics before it, else their messages "
                "would be forwarded again. Run sensorium topics take-over: docs/operating.md, "
                "'Another number of partitions'"
            )
        if loaded:
            raise OffsetMissing(
                f"{identity.changelog}[{identity.partition}] holds {loaded} records but group "
                f"{identity.group} has no committed offset for {source}. Restore the offset, or "
                "delete the changelog topic to begin again"
            )
        return None

    def abandon(self) -> None:
        """Notes that the partition was revoked, so that opening it does not fence."""
        self._abandoned = True

    def source_consumer(self, position: int | None) -> Consumer:
        """A consumer of the source partition at `position` that prefetches within bounds.

        The bound of its queue (8 MiB, plus one fetch in flight) also bounds the input of
        one transaction. An empty fetch waits at the broker, which answers as soon as
        there is a record. Fetching more often would only cost client and broker more.
        """
        consumer = Consumer(
            reader_config(self._settings, self.identity.group)
            | {
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 500,
                "fetch.queue.backoff.ms": 2,
                "queued.min.messages": 10_000,
                "queued.max.messages.kbytes": 8_192,
                "check.crcs": False,
            }
        )
        offset = OFFSET_BEGINNING if position is None else position
        consumer.assign([TopicPartition(self.identity.source, self.identity.partition, offset)])
        return consumer

    def commit(self, transaction: Transaction) -> float:
        """Commits the transaction atomically and returns how many seconds that took.

        Any error ends the lane, and nothing is rolled back here. Raises UndeclaredOutput
        for a topic that the stage does not declare.

        1. Begin.
        2. Produce the outputs, then the table's changelog.
        3. Add the source offset, if the transaction moves it.
        4. Commit. From here on a read_committed reader sees all of it, and the next
           owner of the partition continues after it.
        """
        began, identity = time.monotonic(), self.identity
        if undeclared := {write.topic for write in transaction.writes} - identity.outputs:
            raise UndeclaredOutput(f"{identity.stage} does not declare {', '.join(undeclared)}")
        producer = self._producer
        failpoints.reached("before_begin")
        producer.begin_transaction()  # 1
        self._produce(transaction.writes)  # 2
        failpoints.reached("between_outputs_and_table", producer.flush)
        log_topic, partition = identity.changelog, identity.partition
        self._produce(
            (log_topic, key, changed, partition, _NO_HEADERS)
            for key, changed in transaction.changelog
        )
        if transaction.next_offset is not None:  # 3
            failpoints.reached("between_table_and_offset", producer.flush)
            position = [TopicPartition(identity.source, partition, transaction.next_offset)]
            self._retry(
                lambda: producer.send_offsets_to_transaction(
                    position, self._group_metadata, CALL_SECONDS
                ),
                CALL_SECONDS,
            )
        failpoints.reached("before_commit", producer.flush)
        self._retry(lambda: producer.commit_transaction(CALL_SECONDS), CALL_SECONDS)  # 4
        failpoints.reached("after_commit")
        return time.monotonic() - began

    def close(self) -> None:
        """Closes the clients. An open transaction waits for the next owner's fence."""
        if self._group is not None:
            self._group.close()
        # Drops the last reference: otherwise the producer keeps threads and connections
        # until it is garbage-collected, and is then closed in the event loop.
        vars(self).pop("_producer", None)

    def _fence_once_brokers_are_quick(self) -> None:
        """Fences, and repeats that with pauses until the brokers answer quickly.

        Loading reads much: slow brokers would lead to a late commit and a restart, in a loop.
        """
        pauses = BackOff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        patience = Deadline(PATIENCE_SECONDS)
        while True:
            self._producer = Producer(
                transactional_producer_config(self._settings, self.identity.transactional_id)
            )
            began = time.monotonic()
            self._retry(self._fence, OPEN_SECONDS)
            took = time.monotonic() - began
            if took < SLOW_SECONDS or patience.has_passed:
                return
            pause = pauses.pause()
            log.warning(
                "brokers_slow",
                stage=self.identity.stage,
                partition=self.identity.partition,
                fence_seconds=round(took, 1),
                pause_seconds=pause,
            )
            deadline = Deadline(pause)
            while not deadline.has_passed and not self._abandoned:
                time.sleep(0.1)

    def _fence(self) -> None:
        if self._abandoned:
            raise Abandoned
        self._producer.init_transactions(CALL_SECONDS)

    def _committed(self) -> int:
        """The committed offset, or a negative number if nothing is committed.

        An ignored error looks the same, and would make an empty table start at 0.
        """
        assert self._group is not None
        (found,) = self._group.committed(
            [TopicPartition(self.identity.source, self.identity.partition)], CALL_SECONDS
        )
        if found.error is not None:
            raise KafkaException(found.error)
        return found.offset

    def _produce(self, records: Iterable[_OutputRecord]) -> None:
        """Queues the records. Waits for room while librdkafka's queue is full."""
        produce: Any = self._producer.produce  # looked up once: called several times per record
        for topic, key, value, partition, headers in records:
            try:
                produce(topic, value, key, partition, headers=headers)
            except BufferError:
                self._wait_for_room(partial(produce, topic, value, key, partition, headers=headers))

    def _wait_for_room(self, produce: Callable[[], object]) -> None:
        """Queues the record once there is room. Raises BufferError after CALL_SECONDS."""
        deadline = Deadline(CALL_SECONDS)
        while True:
            self._producer.poll(0.05)
            try:
                produce()
                return
            except BufferError:
                if deadline.has_passed:
                    raise

    def _changelog(self) -> Iterator[list[Message]]:
        """Yields batches of changelog records up to the last stable offset.

        Asks for the end first: a newly elected leader may report "end of partition" too
        early, because its high watermark lags for a moment.
        """
        consumer = Consumer(
            reader_config(self._settings, self.identity.group)
            | {
                "enable.partition.eof": True,
                "check.crcs": False,
                "fetch.wait.max.ms": 20,
                # A record of 20 B takes 300 B in the queue, whose memory the process keeps. A short
                # queue is as fast, unless the fetcher pauses for a second after it was full.
                "queued.min.messages": 20_000,
                "queued.max.messages.kbytes": 65_536,
                "fetch.queue.backoff.ms": 5,
            }
        )
        try:
            self._retry(lambda: self._look_for_changelog(consumer), OPEN_SECONDS)
            place = TopicPartition(self.identity.changelog, self.identity.partition)
            ask = partial(consumer.get_watermark_offsets, place, timeout=CALL_SECONDS)
            _, end = self._retry(ask, OPEN_SECONDS)  # after `assign` this call would wait
            place.offset = OFFSET_BEGINNING
            consumer.assign([place])
            deadline, at_end = Deadline(OPEN_SECONDS), False
            while not at_end:
                messages = []
                for message in consumer.consume(10_000, 0.05):
                    error = message.error()
                    if error is None:
                        messages.append(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        at_end = (message.offset() or 0) >= end
                    elif not is_passing(error):
                        raise KafkaException(error)
                if messages:
                    yield messages
                    deadline = Deadline(OPEN_SECONDS)
                if deadline.has_passed:
                    why = f"gave nothing for {OPEN_SECONDS:g} s and ends at {end}"
                    raise TimeoutError(f"{place.topic}[{place.partition}] {why}")
        finally:
            consumer.close()

    def _look_for_changelog(self, consumer: Consumer) -> None:
        """Raises PartitionMissing, without which loading would wait in vain."""
        name, source = self.identity.changelog, self.identity.source
        partition = self.identity.partition
        there = consumer.list_topics(name, timeout=CALL_SECONDS).topics[name].partitions
        if there and partition not in there:
            raise PartitionMissing(
                f"{name} has {len(there)} partitions, {source} has partition {partition}. {REMEDY}"
            )

    @staticmethod
    def _retry(call: Callable[[], T], seconds: float) -> T:
        """Repeats `call` while its error is retriable, for at most `seconds`."""
        deadline = Deadline(seconds)
        while True:
            try:
                return call()
            except KafkaException as error:
                cause = error.args[0]
                if (
                    cause.fatal()
                    or cause.txn_requires_abort()
                    or is_fenced(error)
                    or deadline.has_passed
                ):
                    raise
                time.sleep(0.1)


def fence(settings: Kafka, transactional_id: str, seconds: float = CALL_SECONDS) -> None:
    """Ends any open transaction of the id, so that readers can continue.

    This takes 0.5 to 0.7 s after the owner died. Gives up after `seconds`.
    """
    Producer(transactional_producer_config(settings, transactional_id)).init_transactions(seconds)
