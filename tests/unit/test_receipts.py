from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Undecodable, decode
from schemas.receipts import KEY_BYTES, RECORDS, Ledger, Line, Span, lines_of
from schemas.records import Receipt, Verdict

LEDGER = Ledger("dedupe", "raw-messages", 3)


def a_line(offset: int = 40, **fields: Any) -> Line:
    return Line(
        **{
            "offset": offset,
            "key": b"acme:ycloud:w1",
            "received_ms": 1_766_000_000_000,
            "outcome": "forwarded",
            "reason": "",
            "generation": 0,
            **fields,
        }
    )


def written(span: Span, lines: list[Line]) -> list[Receipt]:
    return [decode(Receipt, value) for value in LEDGER.receipts(span, lines)]


LINES = st.builds(
    Line,
    offset=st.integers(0, 2**40),
    key=st.binary(max_size=40),
    received_ms=st.integers(-1, 2**42),
    outcome=st.sampled_from(["forwarded", "duplicate", "skipped", "quarantined"]),
    reason=st.sampled_from(["", "update", "not_json"]),
    generation=st.integers(0, 3),
)


@given(st.lists(LINES, max_size=30), st.integers(0, 2**40))
def test_the_lines_of_a_receipt_are_read_as_they_were_written(
    lines: list[Line], first: int
) -> None:
    receipts = written(Span(first, first + 1), lines)
    assert [one for receipt in receipts for one in lines_of(receipt)] == lines


def test_a_receipt_says_whose_it_is_and_how_far_it_moved() -> None:
    (receipt,) = written(Span(40, 42), [a_line(40), a_line(41, outcome="duplicate")])
    assert (
        receipt.stage,
        receipt.topic,
        receipt.partition,
        receipt.first_offset,
        receipt.next_offset,
    ) == ("dedupe", "raw-messages", 3, 40, 42)
    assert receipt.verdicts == (Verdict(outcome="forwarded"), Verdict(outcome="duplicate"))


def test_a_transaction_that_settles_nothing_and_moves_nothing_has_no_receipt() -> None:
    assert written(Span(7, 7), []) == []


def test_a_position_that_moves_over_nothing_still_has_a_receipt() -> None:
    (receipt,) = written(Span(7, 9), [])
    assert (receipt.first_offset, receipt.next_offset, lines_of(receipt)) == (7, 9, [])


@pytest.mark.parametrize(
    ("lines", "receipts"),
    [
        ([a_line(offset) for offset in range(RECORDS)], 1),
        ([a_line(offset) for offset in range(RECORDS + 1)], 2),
        ([a_line(offset, generation=offset) for offset in range(256)], 1),
        ([a_line(offset, generation=offset) for offset in range(257)], 2),
        ([a_line(offset, key=b"k" * (KEY_BYTES // 2)) for offset in range(3)], 2),
        ([a_line(0, key=b"k" * (2 * KEY_BYTES)), a_line(1)], 2),
    ],
    ids=[
        "as many as fit",
        "one more",
        "as many verdicts as fit",
        "one verdict more",
        "long keys",
        "a key over the bound",
    ],
)
def test_what_does_not_fit_one_receipt_goes_into_several_whose_ranges_still_follow_each_other(
    lines: list[Line], receipts: int
) -> None:
    found = written(Span(0, len(lines)), lines)
    assert len(found) == receipts
    assert [one for receipt in found for one in lines_of(receipt)] == lines
    assert (found[0].first_offset, found[-1].next_offset) == (0, len(lines))
    assert [before.next_offset for before, _ in pairwise(found)] == [
        after.first_offset for _, after in pairwise(found)
    ]


@pytest.mark.parametrize("damage", [{"given": b"\x09"}, {"given": b"\0\0"}, {"keys": ()}])
def test_a_receipt_whose_columns_do_not_match_proves_nothing(
    damage: dict[str, Any],
) -> None:
    (receipt,) = written(Span(40, 41), [a_line()])
    with pytest.raises(Undecodable):
        lines_of(msgspec.structs.replace(receipt, **damage))
