"""Raw records again, under a new generation: dedupe forwards each message once more, as a higher
version of the same row.
"""

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Message

from schemas.headers import header, with_generation
from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka.reading import TopicReader
from storage.postgres.erased import Erased
from streams.lanes.transactions import Write, headers_of
from streams.repair.writing import Item

NOTHING_ERASED = Erased()


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets `begin` to `end` (not included) of a partition.

    As text `PARTITION:FIRST-LAST`, both included.
    """

    partition: int
    begin: int
    end: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.begin}-{self.end - 1}"

    def within(self, there: "OffsetRange") -> "OffsetRange":
        """The part of it that lies in another of its partition; perhaps empty."""
        return OffsetRange(self.partition, max(self.begin, there.begin), min(self.end, there.end))


def merged(spans: Iterable[OffsetRange]) -> list[OffsetRange]:
    """In order, without empty ones, and each offset once: no record is sent twice."""
    found: list[OffsetRange] = []
    for span in sorted(spans, key=lambda one: (one.partition, one.begin)):
        if span.begin >= span.end:
            continue
        last = found[-1] if found else None
        if last is not None and last.partition == span.partition and span.begin <= last.end:
            found[-1] = OffsetRange(span.partition, last.begin, max(last.end, span.end))
        else:
            found.append(span)
    return found


_SPAN = re.compile(r"([0-9]{1,6}):([0-9]{1,18})-([0-9]{1,18})")


def span_of(text: str) -> OffsetRange:
    """`PARTITION:FIRST-LAST` as a span. Raises ValueError."""
    match = _SPAN.fullmatch(text)
    if match is None or int(match[3]) < int(match[2]):
        raise ValueError(text)
    return OffsetRange(int(match[1]), int(match[2]), int(match[3]) + 1)


@dataclass(frozen=True, slots=True)
class RawRecordPosition:
    """A record of a span."""

    partition: int
    offset: int


def position_of(text: str) -> RawRecordPosition | None:
    """`PARTITION:OFFSET`; None for an empty text."""
    partition, _, offset = text.partition(":")
    return RawRecordPosition(int(partition), int(offset)) if offset else None


def left_of(spans: list[OffsetRange], done: RawRecordPosition | None) -> list[OffsetRange]:
    """What remains of spans that were read in this order up to and with `done`."""
    if done is None:
        return spans
    for number, span in enumerate(spans):
        if span.partition == done.partition and span.begin <= done.offset < span.end:
            rest = OffsetRange(span.partition, done.offset + 1, span.end)
            return [one for one in (rest, *spans[number + 1 :]) if one.begin < one.end]
    return spans


class RawReader:
    """Reads spans of raw-messages as they stand now; what is written meanwhile is not among them."""

    def __init__(self, settings: Kafka, names: Names, erased: Erased = NOTHING_ERASED) -> None:
        self._erased = erased
        self._topic = names.topic("raw-messages")
        self._reader = TopicReader(settings, f"{names.prefix}sensorium-replay")
        self._partitions = settings.partitions

    @property
    def partitions(self) -> int:
        return self._partitions

    def held(self) -> dict[int, OffsetRange]:
        """Partition → all that the log holds of it. Asks the brokers once per partition."""
        bounds = self._reader.bounds(self._topic)
        return {partition: OffsetRange(partition, *pair) for partition, pair in bounds.items()}

    def between(self, since: datetime, until: datetime | None) -> list[OffsetRange]:
        """The spans whose Kafka timestamps lie in the range."""
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
        """Each record of the spans once more, its generation in the header.

        Of another tenant's record, and of a message that
        was erased, only the place is given: it was passed.
        """
        for span in spans:
            for message in self._read(span):
                headers = headers_of(message)
                place = RawRecordPosition(span.partition, message.offset() or 0)
                owner = (header(headers, "tenant") or b"").decode(errors="replace")
                is_foreign = tenant is not None and owner != tenant
                if is_foreign or self._erased.has(owner, message.key() or b""):
                    yield Item((), place)
                    continue
                yield Item(
                    (
                        Write(
                            self._topic,
                            message.key() or b"",
                            message.value(),
                            -1,
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
