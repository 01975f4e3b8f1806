"""Writes raw records again under a new generation.

dedupe then forwards each message once more, as a higher version of the same row.
"""

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Message

from schemas.headers import header, with_generation
from schemas.keys import key_partition
from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka.reading import TopicReader
from storage.postgres.erased import Erased
from streams.lanes.transactions import Write, headers_of
from streams.repair.writing import Item

NOTHING_ERASED = Erased()


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets `begin` to `end` (exclusive) of a partition.

    Its text form is `PARTITION:FIRST-LAST`, both inclusive.
    """

    partition: int
    begin: int
    end: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.begin}-{self.end - 1}"

    def within(self, there: "OffsetRange") -> "OffsetRange":
        """The intersection with another range of the same partition, which may be empty."""
        return OffsetRange(self.partition, max(self.begin, there.begin), min(self.end, there.end))


def merged(spans: Iterable[OffsetRange]) -> list[OffsetRange]:
    """Returns the ranges in order, without empty ones and overlaps, so that no record
    is sent twice.
    """
    merged_spans: list[OffsetRange] = []
    for span in sorted(spans, key=lambda one: (one.partition, one.begin)):
        if span.begin >= span.end:
            continue
        last = merged_spans[-1] if merged_spans else None
        if last is not None and last.partition == span.partition and span.begin <= last.end:
            merged_spans[-1] = OffsetRange(span.partition, last.begin, max(last.end, span.end))
        else:
            merged_spans.append(span)
    return merged_spans


_SPAN = re.compile(r"([0-9]{1,6}):([0-9]{1,18})-([0-9]{1,18})")


def span_of(text: str) -> OffsetRange:
    """Parses `PARTITION:FIRST-LAST`. Raises ValueError."""
    match = _SPAN.fullmatch(text)
    if match is None or int(match[3]) < int(match[2]):
        raise ValueError(text)
    return OffsetRange(int(match[1]), int(match[2]), int(match[3]) + 1)


@dataclass(frozen=True, slots=True)
class RawRecordPosition:
    """The position of a raw record."""

    partition: int
    offset: int


def position_of(text: str) -> RawRecordPosition | None:
    """Parses `PARTITION:OFFSET`. Returns None for an empty text."""
    partition, _, offset = text.partition(":")
    return RawRecordPosition(int(partition), int(offset)) if offset else None


def left_of(spans: list[OffsetRange], done: RawRecordPosition | None) -> list[OffsetRange]:
    """Returns what is left of the ranges after everything up to and including `done` was read."""
    if done is None:
        return spans
    for number, span in enumerate(spans):
        if span.partition == done.partition and span.begin <= done.offset < span.end:
            rest = OffsetRange(span.partition, done.offset + 1, span.end)
            return [one for one in (rest, *spans[number + 1 :]) if one.begin < one.end]
    return spans


class RawReader:
    """Reads ranges of raw-messages.

    Records that are written meanwhile are not included.
    """

    def __init__(self, settings: Kafka, names: Names, erased: Erased = NOTHING_ERASED) -> None:
        self._erased = erased
        self._topic = names.topic("raw-messages")
        self._partitions = settings.partitions
        self._reader = TopicReader(settings, f"{names.prefix}sensorium-replay")

    def held(self) -> dict[int, OffsetRange]:
        """Returns, by partition, the range that the topic still has.

        Asks the brokers once per partition.
        """
        bounds = self._reader.bounds(self._topic)
        return {partition: OffsetRange(partition, *pair) for partition, pair in bounds.items()}

    def between(self, since: datetime, until: datetime | None) -> list[OffsetRange]:
        """The ranges whose Kafka timestamps are in the interval."""
        ends = self._reader.ends(self._topic)
        begins = self._reader.since(self._topic, since, ends)
        if until is not None:
            ends = self._reader.since(self._topic, until, ends)
        return [
            OffsetRange(partition, begins[partition], ends[partition])
            for partition in sorted(ends)
            if begins[partition] < ends[partition]
        ]

    def again(
        self, spans: list[OffsetRange], tenant: str | None, generation: int
    ) -> Generator[Item[RawRecordPosition], None, None]:
        """Yields each record of the ranges with the new generation in its header.

        A record of another tenant, or of an erased message, is yielded without a write,
        only with its position.
        """
        for span in spans:
            for message in self._read(span):
                headers = headers_of(message)
                place = RawRecordPosition(span.partition, message.offset() or 0)
                owner = (header(headers, "tenant") or b"").decode(errors="replace")
                is_foreign = tenant is not None and owner != tenant
                key = message.key() or b""
                if is_foreign or self._erased.has(owner, key):
                    yield Item((), place)
                    continue
                yield Item(
                    (
                        Write(
                            self._topic,
                            key,
                            message.value(),
                            key_partition(key, self._partitions),
                            with_generation(headers, generation),
                        ),
                    ),
                    place,
                )

    def close(self) -> None:
        self._reader.close()

    def _read(self, span: OffsetRange) -> Iterator[Message]:
        return self._reader.read(
            self._topic, {span.partition: span.begin}, {span.partition: span.end}
        )
