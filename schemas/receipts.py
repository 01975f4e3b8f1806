"""Receipts: what a transaction did with each record, written in the same transaction.

They prove conservation after any crash: the ranges of a stage's receipts follow each
other without gap or overlap, and every record of its source has one line. Counters show
the same, but are lost when their process ends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter, sub
from typing import NamedTuple

from schemas.codec import Undecodable, encode
from schemas.pipeline import Stage
from schemas.records import Receipt, Verdict

RECORDS = 5_000
"""The most lines in one receipt. A transaction with more records writes several."""
KEY_BYTES = 1024 * 1024
VERDICTS = 256
"""The most verdicts in one receipt, because `given` holds one byte per record."""


_NO_COLUMNS: tuple[tuple[()], ...] = ((),) * 6


class Line(NamedTuple):
    """One record of the source and its outcome."""

    offset: int
    key: bytes
    received_ms: int
    outcome: str
    reason: str
    generation: int


_KEY = itemgetter(1)
_VERDICT = itemgetter(3, 4, 5)


@dataclass(frozen=True, slots=True)
class Span:
    """A lane's position in its source partition before and after a transaction."""

    first_offset: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Writes the receipts of one source partition.

    `topic` is the source topic without the namespace.
    """

    stage: Stage
    topic: str
    partition: int

    def receipts(self, span: Span, lines: Sequence[Line]) -> list[bytes]:
        """The encoded receipts of one transaction.

        Only the last one moves the position; those before it only hold lines.
        """
        portions = list(_portions(lines)) or ([()] if span.next_offset != span.first_offset else [])
        at = datetime.now(UTC)
        unmoved = Span(span.first_offset, span.first_offset)
        return [
            self._receipt(span if number == len(portions) else unmoved, portion, at)
            for number, portion in enumerate(portions, 1)
        ]

    def _receipt(self, span: Span, lines: Sequence[Line], at: datetime) -> bytes:
        # Column by column, in C. Line by line takes three times as long.
        offsets, keys, received_ms, *labels = zip(*lines, strict=True) if lines else _NO_COLUMNS
        verdicts = list(zip(*labels, strict=True))
        known = {verdict: number for number, verdict in enumerate(dict.fromkeys(verdicts))}
        return encode(
            Receipt(
                stage=self.stage,
                topic=self.topic,
                partition=self.partition,
                first_offset=span.first_offset,
                next_offset=span.next_offset,
                at=at,
                verdicts=tuple(
                    Verdict(outcome=outcome, reason=reason, generation=generation)
                    for outcome, reason, generation in known
                ),
                given=bytes(map(known.__getitem__, verdicts)),
                offsets=_steps(span.first_offset, offsets),
                received_ms=_steps(0, received_ms),
                keys=keys,
            )
        )


def lines_of(receipt: Receipt) -> list[Line]:
    """The lines of a receipt, as they were written.

    Raises Undecodable if the columns of the receipt do not match.
    """
    check_columns(receipt)
    columns = zip(
        receipt.given,
        _sums(receipt.first_offset, receipt.offsets),
        receipt.keys,
        _sums(0, receipt.received_ms),
        strict=True,
    )
    verdicts = receipt.verdicts
    return [
        Line(
            offset,
            key,
            at,
            verdicts[which].outcome,
            verdicts[which].reason,
            verdicts[which].generation,
        )
        for which, offset, key, at in columns
    ]


def check_columns(receipt: Receipt) -> None:
    """Raises Undecodable if the columns of the receipt do not match."""
    lengths = [
        len(column)
        for column in (receipt.given, receipt.offsets, receipt.keys, receipt.received_ms)
    ]
    if len(set(lengths)) != 1 or max(receipt.given, default=-1) >= len(receipt.verdicts):
        raise Undecodable(
            f"the columns of a receipt do not match: {lengths}, {len(receipt.verdicts)} verdicts"
        )


def _portions(lines: Sequence[Line]) -> Iterable[Sequence[Line]]:
    if (
        0 < len(lines) <= RECORDS
        and sum(map(len, map(_KEY, lines))) <= KEY_BYTES
        and len(set(map(_VERDICT, lines))) <= VERDICTS
    ):
        yield lines  # the usual case
        return
    begin, size = 0, 0
    verdicts: set[tuple[str, str, int]] = set()
    for here, line in enumerate(lines):
        verdicts.add(line[3:])
        size += len(line.key)
        if here > begin and (
            here - begin >= RECORDS or size > KEY_BYTES or len(verdicts) > VERDICTS
        ):
            yield lines[begin:here]
            begin, size, verdicts = here, len(line.key), {line[3:]}
    if begin < len(lines):
        yield lines[begin:]


def _steps(start: int, values: Sequence[int]) -> tuple[int, ...]:
    """The differences between successive values: small numbers are short in Avro."""
    return tuple(map(sub, values, (start, *values)))


def _sums(start: int, steps: Iterable[int]) -> Iterable[int]:
    for step in steps:
        start += step
        yield start
