"""Compares a stage's source partition with the stage's receipts.

Every record has one line; a job has another one when it ends.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import msgspec

from schemas.codec import decode
from schemas.pipeline import JOB_STAGES, SOURCE_OF, Stage
from schemas.receipts import Ledger, Line, Span, lines_of
from schemas.records import Receipt
from streams.audit.findings import Finding, FindingKind, tenant_of


@dataclass(frozen=True, slots=True)
class Seen:
    """A record of a source topic."""

    offset: int
    key: bytes
    at_ms: int
    generation: int


@dataclass(slots=True)
class Book:
    """The contents of the receipts about one source partition.

    `settled` has the line with which a record ended; `open` has the records that still wait.
    """

    findings: list[Finding] = field(default_factory=list)
    settled: dict[int, Line] = field(default_factory=dict)
    open: dict[int, Seen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StagePartition:
    """A stage and a partition of its source topic."""

    stage: Stage
    partition: int

    def __str__(self) -> str:
        return f"{SOURCE_OF[self.stage]}[{self.partition}]"


def balance(
    place: StagePartition, records: Mapping[int, Seen], receipts: Iterable[Receipt]
) -> Book:
    """Compares a partition's records with its receipts.

    `records` are all that the partition has of the audited time. Receipts are in the
    order in which they were written.
    """
    book = Book()
    taken: Counter[int] = Counter()
    ended: Counter[int] = Counter()
    position: int | None = None
    for receipt in receipts:
        if position is not None and receipt.first_offset != position:
            book.findings.append(_broken_chain(place, position, receipt.first_offset))
        position = max(receipt.next_offset, position or 0)
        for line in lines_of(receipt):
            record = records.get(line.offset)
            if record is None:
                continue  # outside the audited time, or deleted by retention
            if record.key != line.key:
                book.findings.append(
                    _finding(
                        "unexplained",
                        place,
                        record,
                        f"a receipt gives {place}@{line.offset} another key",
                    )
                )
            _enter(place.stage, line, taken, ended, book)
    for offset, record in records.items():
        book.findings += _judge(
            place, record, taken[offset], ended[offset], offset < (position or 0)
        )
        if not ended[offset] and (taken[offset] or offset >= (position or 0)):
            book.open[offset] = record
    return book


def narrowed(receipt: Receipt, records: Container[int]) -> list[Receipt]:
    """Returns the receipt with the lines of these records only, or nothing if none is left.

    Its range does not change, because ranges must follow each other.
    """
    lines = [line for line in lines_of(receipt) if line.offset in records]
    ledger = Ledger(cast(Stage, receipt.stage), receipt.topic, receipt.partition)
    values = ledger.receipts(Span(receipt.first_offset, receipt.next_offset), lines)
    return [msgspec.structs.replace(decode(Receipt, value), at=receipt.at) for value in values]


def _enter(stage: Stage, line: Line, taken: Counter[int], ended: Counter[int], book: Book) -> None:
    if line.outcome == "admitted":
        taken[line.offset] += 1
        return
    if stage not in JOB_STAGES or not taken[line.offset]:
        taken[line.offset] += 1
    ended[line.offset] += 1
    book.settled[line.offset] = line


def _judge(
    place: StagePartition, record: Seen, taken: int, ended: int, passed: bool
) -> list[Finding]:
    where = f"{place}@{record.offset}"
    if taken > 1:
        return [_finding("twice", place, record, f"{where} was taken {taken} times")]
    if ended > 1:
        return [_finding("twice", place, record, f"{where} was finished {ended} times")]
    if not taken and passed:
        return [_finding("lost", place, record, f"{where} was skipped: no receipt has it")]
    return []


def _broken_chain(place: StagePartition, before: int, after: int) -> Finding:
    if after > before:
        return Finding(
            "unexplained", place.stage, f"receipts of {place} have a gap from {before} to {after}"
        )
    return Finding("twice", place.stage, f"receipts of {place} go back from {before} to {after}")


def _finding(kind: FindingKind, place: StagePartition, record: Seen, what: str) -> Finding:
    return Finding(
        kind,
        place.stage,
        what,
        tenant_of(record.key),
        record.key.decode(errors="replace"),
        record.at_ms,
    )
