"""Topics, records and lanes on the session's broker, without Faust.

Tests see from outside what a lane reads, writes and commits.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas import metrics
from schemas.headers import Headers
from schemas.pipeline import Stage
from schemas.receipts import Line
from schemas.settings import BreakerSettings as Limits
from schemas.settings import Kafka
from schemas.topics import MAX_RECORD_BYTES, Names
from storage.kafka.client import client_config, plain_producer_config, reader_config
from streams.lanes.app import LaneApp, Lanes
from streams.lanes.breaker import Breaker
from streams.lanes.gate import Gate
from streams.lanes.lane import Intake, Lane
from streams.lanes.pace import Pace
from streams.lanes.receipts import line
from streams.lanes.state import KeptValues, PartitionState
from streams.lanes.transactions import LaneIdentity, PartitionTransactions, Write
from tests.topics import make_each

SECONDS = 90.0
"""The time limit of every wait. It is long, because other programs use the machine too."""
MARKER_SECONDS = 2.0
PACE = Pace(gap_seconds=0.005)


async def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Waits until the condition is true, and returns its result."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.01)
    return value


async def until_async(
    condition: Callable[[], Awaitable[Any]], what: str, seconds: float = SECONDS
) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := await condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.01)
    return value


def write(
    topic: str,
    value: bytes = b"out",
    key: bytes = b"k",
    partition: int = 0,
    headers: Headers | None = None,
) -> Write:
    return Write(topic, key, value, partition, headers or [])


class FakeRecord:
    """A record as the client returns it."""

    def __init__(
        self,
        key: bytes = b"k",
        value: bytes | None = b"v",
        offset: int = 0,
        headers: Headers | None = None,
    ) -> None:
        self._key, self._value, self._offset, self._headers = key, value, offset, headers

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def offset(self) -> int:
        return self._offset

    def partition(self) -> int:
        return 0

    def headers(self) -> Headers | None:
        return self._headers

    def error(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


def _produced(
    producer: Producer,
    topic: str,
    values: Sequence[bytes],
    key: bytes,
    partition: int,
    headers: Headers,
) -> list[KafkaError]:
    """Returns why records were refused, or nothing if all were accepted."""
    refused: list[KafkaError] = []
    for value in values:
        while True:
            try:
                producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    headers=headers,
                    on_delivery=lambda error, _: refused.append(error) if error else None,
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(SECONDS) == 0
    return refused


@cache
def _producer(kafka: Kafka) -> Producer:
    """One producer for all tests, because a new one waits half a second for its id."""
    return Producer(plain_producer_config(kafka))


@cache
def _reader(kafka: Kafka, isolation: str) -> Consumer:
    """One reader for all tests, because a new one waits half a second for the brokers.

    One test uses it at a time.
    """
    return Consumer(
        reader_config(kafka, "test-reader")
        | {"enable.partition.eof": True, "isolation.level": isolation, "fetch.wait.max.ms": 20}
    )


def let_go() -> None:
    for client in (_producer, _reader):
        client.cache_clear()


@dataclass(frozen=True)
class World:
    """A namespace on the broker with few partitions per topic.

    The source is `in`, the outputs are `out`, the changelog is `log`, and there are
    `receipts`.
    """

    kafka: Kafka
    name: str
    partitions: int = 2

    @property
    def group(self) -> str:
        return f"{self.name}-sensorium-test"

    def topic(self, name: str) -> str:
        return f"{self.name}-{name}"

    def identity(self, partition: int = 0) -> LaneIdentity:
        return LaneIdentity(
            "dedupe",
            self.group,
            self.topic("in"),
            self.topic("log"),
            self.topic("receipts"),
            partition,
            frozenset(self.topic(name) for name in ("out", "receipts")),
            Names(self.name),
        )

    def transactions(self, partition: int = 0) -> PartitionTransactions:
        return PartitionTransactions(self.kafka, self.identity(partition))

    def lane(
        self,
        intake: Intake,
        state: PartitionState | None = None,
        partition: int = 0,
        pace: Pace = PACE,
    ) -> Lane:
        return Lane(
            self.kafka,
            self.identity(partition),
            KeptValues() if state is None else state,
            intake,
            pace,
        )

    def make(self, *names: str, **config: str) -> None:
        settings = {"max.message.bytes": str(MAX_RECORD_BYTES), **config}
        make_each(self.kafka, [self.topic(name) for name in names], self.partitions, settings)

    def delete(self, name: str) -> None:
        admin = AdminClient(client_config(self.kafka))
        for future in admin.delete_topics([self.topic(name)], operation_timeout=30).values():
            future.result(30)

    def delete_records_before(self, name: str, offset: int, partition: int = 0) -> None:
        admin = AdminClient(client_config(self.kafka))
        for future in admin.delete_records(
            [TopicPartition(self.topic(name), partition, offset)]
        ).values():
            future.result(30)

    def produce(
        self,
        name: str,
        *values: bytes,
        key: bytes = b"k",
        partition: int = 0,
        headers: Headers | None = None,
    ) -> None:
        """Produces the records. The first one is sent alone until it is accepted.

        The leader of a new topic may refuse the first record, and it would be missing
        if others were sent after it.
        """
        producer, where = _producer(self.kafka), (key, partition, list(headers or []))
        deadline = time.monotonic() + SECONDS
        while refused := _produced(producer, self.topic(name), values[:1], *where):
            assert time.monotonic() < deadline, refused
        assert _produced(producer, self.topic(name), values[1:], *where) == []

    def read(
        self,
        name: str,
        partition: int | None = 0,
        *,
        committed: bool = True,
        waits: bool = True,
    ) -> list[Message]:
        """Returns all records up to the end that this reader sees.

        This is the last stable offset, or with `committed=False` the end of the log. A
        commit is answered before its markers are written, so they are waited for, but
        not for long, because an open transaction has none. Pass `waits=False` while a
        transaction is held open on purpose, because the brokers end it soon.
        """
        consumer = _reader(self.kafka, "read_committed" if committed else "read_uncommitted")
        of = range(self.partitions) if partition is None else [partition]
        if committed and waits:
            self._wait_for_markers(name, of)
        consumer.assign([TopicPartition(self.topic(name), p, 0) for p in of])
        found, ended = [], set()
        deadline = time.monotonic() + SECONDS
        while len(ended) < len(of):
            assert time.monotonic() < deadline, f"{name} could not be read to its end"
            for message in consumer.consume(1_000, 0.02):
                if message.topic() != self.topic(name):
                    continue  # of an earlier assignment
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
        consumer.unassign()
        return found

    def _wait_for_markers(self, name: str, of: Sequence[int]) -> None:
        deadline = time.monotonic() + MARKER_SECONDS
        while time.monotonic() < deadline:
            stable, last = (
                [
                    _reader(self.kafka, isolation).get_watermark_offsets(
                        TopicPartition(self.topic(name), one), SECONDS
                    )[1]
                    for one in of
                ]
                for isolation in ("read_committed", "read_uncommitted")
            )
            if all(seen >= end for seen, end in zip(stable, last, strict=True)):
                return
            time.sleep(0.01)

    def values(
        self, name: str, partition: int | None = 0, *, committed: bool = True
    ) -> list[bytes]:
        return [
            message.value() or b"" for message in self.read(name, partition, committed=committed)
        ]

    def end(self, name: str, partition: int = 0) -> int:
        """The offset of the next record."""
        consumer = Consumer(reader_config(self.kafka, "test-reader"))
        try:
            return int(
                consumer.get_watermark_offsets(TopicPartition(self.topic(name), partition), 20)[1]
            )
        finally:
            consumer.close()

    def tombstone(self, name: str, key: bytes, partition: int) -> None:
        """Writes a tombstone, which removes a key from a compacted topic."""
        producer = _producer(self.kafka)
        producer.produce(self.topic(name), None, key, partition)
        assert producer.flush(SECONDS) == 0

    def position_of(self, source: str, partition: int, stage: str = "dedupe") -> int:
        """The committed offset of the stage's own group, or a negative number if it has none."""
        consumer = Consumer(reader_config(self.kafka, f"{self.name}-sensorium-{stage}"))
        try:
            place = TopicPartition(self.topic(source), partition)
            return int(consumer.committed([place], 20)[0].offset)
        finally:
            consumer.close()

    def position(self, partition: int = 0) -> int:
        """The committed offset of the group, or a negative number if it has none."""
        consumer = Consumer(reader_config(self.kafka, self.group))
        try:
            return int(
                consumer.committed([TopicPartition(self.topic("in"), partition)], 20)[0].offset
            )
        finally:
            consumer.close()


def lines(messages: list[Message], outcome: str = "forwarded") -> list[Line]:
    """The lines of a receipt for these records, one each."""
    return [line(message, outcome) for message in messages]


def counted(outcome: str, reason: str = "", stage: str = "dedupe") -> float:
    """The value of this process's metric for that outcome."""
    return float(metrics.STAGE_RECORDS.labels(stage, outcome, reason)._value.get())


class NoStops:
    """Never stops a stage."""

    async def quiet(self, stage: Stage) -> float:
        raise AssertionError(stage)

    async def tenants(self) -> int:
        raise AssertionError("nothing is to be held")

    async def stopped(self, stage: Stage, detail: str) -> object:
        raise AssertionError(detail)

    async def resumed(self, stage: Stage, stop: object, detail: str) -> float | None:
        raise AssertionError(stop)


def open_gate() -> Gate:
    return Gate("dedupe", Breaker(Limits()), NoStops())


class Still:
    """An intake that reads nothing."""

    async def run(self, lane: Lane) -> None:
        while not lane.stopping:
            await asyncio.sleep(0.01)

    def dropped(self, lane: Lane) -> None:
        pass


class Desk:
    """Replaces an agent's channel, and keeps in `items` what is handed out."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[Any] = asyncio.Queue()

    def hand_out(self, item: object) -> None:
        self.items.put_nowait(item)

    async def next(self) -> Any:
        return await asyncio.wait_for(self.items.get(), SECONDS)


@asynccontextmanager
async def at_work(lane: Lane) -> AsyncIterator["asyncio.Task[None]"]:
    """Runs the lane until it is ready, and stops it at the end.

    The test looks at what the lane raises.
    """
    task = asyncio.ensure_future(lane.run())
    await until(lambda: lane.ready or task.done(), "the lane opens")
    if task.done():
        await task
    try:
        yield task
    finally:
        lane.stop()
        await asyncio.wait([task], timeout=SECONDS)
        assert task.done()
        if not task.cancelled():
            task.exception()


@asynccontextmanager
async def app_at_work(app: LaneApp) -> AsyncIterator[Lanes]:
    """Runs a whole Faust app in the test's event loop, with all its lanes open."""
    app.finalize()
    lanes = app.lanes
    assert lanes is not None
    await app.start()
    try:
        await until(lambda: lanes.ready, "all lanes are open")
        yield lanes
    finally:
        await app.stop()
