"""Raw records again, under a new generation: dedupe forwards each message once more, as a higher version of the same row."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.headers import header, with_generation
from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka.client import QUIET, reader_config
from streams.lanes.transactions import Write, headers_of
from streams.repair.writing import Item

_CALL_SECONDS = 10.0
_SILENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets `begin` to `end` (not included) of a partition. As text `PARTITION:FIRST-LAST`, both included."""

    partition: int
    begin: int
    end: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.begin}-{self.end - 1}"


@dataclass(frozen=True, slots=True)
class Place:
    """A record of a span."""

    partition: int
    offset: int


def left_of(spans: list[Span], done: Place | None) -> list[Span]:
    """What remains of spans that were read in this order up to and with `done`."""
    if done is None:
        return spans
    for number, span in enumerate(spans):
        if span.partition == done.partition and span.begin <= done.offset < span.end:
            rest = Span(span.partition, done.offset + 1, span.end)
            return [one for one in (rest, *spans[number + 1 :]) if one.begin < one.end]
    return spans


class RawReader:
    """Reads spans of raw-messages as they stand now; what is written meanwhile is not among them."""

    def __init__(self, settings: Kafka, names: Names) -> None:
        self._topic = names.topic("raw-messages")
        self._consumer = Consumer(reader_config(settings, f"{names.prefix}sensorium-replay") | QUIET | {"enable.partition.eof": True})
        self._partitions = settings.partitions

    @property
    def partitions(self) -> int:
        return self._partitions

    def whole(self, partition: int) -> Span:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_CALL_SECONDS)
        return Span(partition, low, high)

    def cut(self, wanted: Span) -> Span:
        """The part of it that the log holds."""
        there = self.whole(wanted.partition)
        return Span(wanted.partition, max(wanted.begin, there.begin), min(wanted.end, there.end))

    def between(self, since: datetime, until: datetime | None) -> list[Span]:
        """The spans whose Kafka timestamps lie in the range."""
        spans = []
        for partition in range(self._partitions):
            there = self.whole(partition)
            begin = self._at(partition, since, there.end)
            end = there.end if until is None else self._at(partition, until, there.end)
            if begin < end:
                spans.append(Span(partition, begin, end))
        return spans

    def again(self, spans: list[Span], tenant: str | None, generation: int) -> Iterator[Item[Place]]:
        """Each record of the spans once more, its generation in the header; nothing for another tenant's: a place that was passed."""
        for span in spans:
            for message in self._read(span):
                headers = headers_of(message)
                place = Place(span.partition, message.offset() or 0)
                if tenant is not None and (header(headers, "tenant") or b"").decode(errors="replace") != tenant:
                    yield Item((), place)
                    continue
                yield Item((Write(self._topic, message.key() or b"", message.value(), -1, with_generation(headers, generation)),), place)

    def close(self) -> None:
        self._consumer.close()

    def _at(self, partition: int, when: datetime, end: int) -> int:
        asked = TopicPartition(self._topic, partition, int(when.timestamp() * 1000))
        found: int = self._consumer.offsets_for_times([asked], timeout=_CALL_SECONDS)[0].offset
        return found if found >= 0 else end

    def _read(self, span: Span) -> Iterator[Any]:
        if span.begin >= span.end:
            return
        self._consumer.assign([TopicPartition(self._topic, span.partition, span.begin)])
        deadline = time.monotonic() + _SILENCE_SECONDS
        while True:
            message = self._consumer.poll(1.0)
            if message is None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self._topic}[{span.partition}] gave nothing for {_SILENCE_SECONDS:g} s")
                continue
            deadline = time.monotonic() + _SILENCE_SECONDS
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return
            if error is not None:
                raise KafkaException(error)
            offset = message.offset() or 0
            if offset >= span.end:
                return
            yield message
            if offset == span.end - 1:
                return
