"""Follows messages through the pipeline from outside.

It reads the topic of the data teams, the table of rows, and the times in records.

All processes are on one machine and share its clock. After a message was seen on the
topic, its row is looked up every few milliseconds.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from confluent_kafka import Consumer, TopicPartition

from bench.rig import PATIENCE_SECONDS, BenchFailed
from schemas.codec import decode
from schemas.pipeline import TopicName
from schemas.records import EnrichedMessage
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import reader_config
from storage.postgres.pool import connect
from storage.waiting import Deadline

_LOOK_SECONDS = 0.003
_ROWS = """\
SELECT message_key FROM chat_messages
WHERE tenant_id = ANY($1) AND message_key = ANY($2) AND status <> 'pending'"""


@dataclass(frozen=True)
class Journey:
    """The duration of one message, in parts that add up to the whole."""

    answer_ms: float
    parts_ms: dict[str, float]

    @property
    def whole_ms(self) -> float:
        return sum(self.parts_ms.values())


class Times(NamedTuple):
    """The times of a message as seen from outside, in seconds since 1970.

    `stored` is when its job for `describe` was written.
    """

    sent: float
    answered: float
    stored: float
    visible: float
    row: float


def journey(message: EnrichedMessage, times: Times, model_seconds: float) -> Journey:
    """Combines the times in the record and those seen from outside, in their order."""
    steps = {step.stage: step.at.timestamp() for step in message.steps}
    marks = [
        ("receive", message.received_at.timestamp()),
        ("Kafka, to dedupe", steps["dedupe"]),
    ]
    if "describe" in steps:
        described = steps["describe"]
        marks += [
            ("dedupe's commit, to store_media", steps["store_media"]),
            ("store_media: fetch and store", times.stored),
            ("its commit, to describe, prepare", described - model_seconds),
            ("the model", described),
            ("describe's commit, to assemble", message.enriched_at.timestamp()),
            ("assemble's commit", times.visible),
        ]
    else:
        marks.append(("dedupe's commit", times.visible))
    marks.append(("sink", times.row))
    parts, before = {}, times.sent
    for name, at in marks:
        parts[name], before = (at - before) * 1000, at
    return Journey((times.answered - times.sent) * 1000, parts)


@dataclass
class _Seen:
    """A finished message as a reader of the topic received it, and when.

    `row` is when its row was seen.
    """

    value: bytes
    visible: float
    row: float = 0.0


@dataclass
class Watch:
    """Watches, while the block runs, messages that are sent after its beginning.

    Without media the first version of a message is its last.
    """

    settings: Settings
    tenants: Sequence[str]
    has_media: bool
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)
    _rows: int = 0
    _stored: dict[str, float] = field(default_factory=dict)
    _ending: threading.Event = field(default_factory=threading.Event)
    _failed: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._names = Names(self.settings.namespace)
        self._messages = self._reader("enriched-messages")
        self._jobs = self._reader("vision")
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,))
            for work in (self._read, lambda: asyncio.run(self._look()))
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._messages.close()
        self._jobs.close()

    def wait(self, count: int) -> None:
        """Waits until `count` rows are finished.

        Raises BenchFailed if that takes too long.
        """
        deadline = Deadline(PATIENCE_SECONDS)
        while self._rows < count:
            if self._failed:
                raise BenchFailed(f"the watch failed: {self._failed[0]}") from self._failed[0]
            if deadline.has_passed:
                raise BenchFailed(f"{self._rows} of {count} rows were finished")
            time.sleep(0.01)
        while (message := self._jobs.poll(0.5)) is not None:
            if message.error() is None:
                self._stored[(message.key() or b"").decode()] = message.timestamp()[1] / 1000

    def journey(self, key: str, sent: float, answered: float, model_seconds: float) -> Journey:
        """The journey of a message whose row is finished."""
        seen = self._seen[key]
        times = Times(sent, answered, self._stored.get(key, 0.0), seen.visible, seen.row)
        return journey(decode(EnrichedMessage, seen.value), times, model_seconds)

    def _reader(self, topic: TopicName) -> Consumer:
        """A consumer of records that are written from now on."""
        eager = {"fetch.wait.max.ms": 10, "fetch.queue.backoff.ms": 1}
        consumer = Consumer(reader_config(self.settings.kafka, "bench") | eager)
        name = self._names.topic(topic)
        places = [TopicPartition(name, p) for p in range(self.settings.kafka.partitions)]
        for place in places:
            place.offset = consumer.get_watermark_offsets(place, 10.0)[1]
        consumer.assign(places)
        return consumer

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failed.append(error)

    def _read(self) -> None:
        while not self._ending.is_set():
            for message in self._messages.consume(200, 0.005):
                at, value = time.time(), message.value()
                if message.error() is not None or value is None:
                    continue
                if not self.has_media or self._is_finished(value):
                    key = (message.key() or b"").decode()
                    self._seen[key] = _Seen(value, at)
                    self._waiting.add(key)

    def _is_finished(self, value: bytes) -> bool:
        """Raises BenchFailed for a message whose picture could not be described.

        Such a message took another way.
        """
        message = decode(EnrichedMessage, value)
        if message.status == "degraded":
            reasons = {one.reason for one in message.attachments}
            raise BenchFailed(f"{message.message_key} is degraded: {reasons}")
        return message.status != "pending"

    async def _look(self) -> None:
        connection = await connect(self.settings.postgres, self._names, "bench")
        try:
            while not self._ending.is_set():
                waiting = list(self._waiting.copy())
                for (key,) in (
                    await connection.fetch(_ROWS, self.tenants, waiting) if waiting else ()
                ):
                    self._seen[key].row = time.time()
                    self._waiting.discard(key)
                    self._rows += 1
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await connection.close()
