import os
from collections.abc import Iterator
from typing import Any

import pytest

from streams.lanes.in_flight import InFlightRecord, left_in, shared_memory


class Record:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset


RECORDS: list[Any] = [Record(offset) for offset in (7, 8, 9)]


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = shared_memory()
    yield descriptor
    os.close(descriptor)


def test_who_looks_sees_the_record_in_hand_and_nothing_before_and_after(memory: int) -> None:
    in_flight = InFlightRecord()
    in_flight.share(memory, {})
    seen = [left_in(memory)]
    seen += [left_in(memory) for _ in in_flight.each(2, RECORDS)]
    assert [*seen, left_in(memory)] == [None, (2, 7), (2, 8), (2, 9), None]


def test_a_record_that_was_left_in_hand_stays_to_be_seen(memory: int) -> None:
    in_flight = InFlightRecord()
    in_flight.share(memory, {})
    for message, _ in in_flight.each(2, RECORDS):
        if message.offset() == 8:
            break
    assert left_in(memory) == (2, 8)


def test_killers_are_named_in_their_own_partition_only(memory: int) -> None:
    in_flight = InFlightRecord()
    in_flight.share(memory, {2: frozenset({8})})
    assert [is_killer for _, is_killer in in_flight.each(2, RECORDS)] == [False, True, False]
    assert [is_killer for _, is_killer in in_flight.each(3, RECORDS)] == [False, False, False]


def test_without_a_parent_nobody_looks() -> None:
    assert [message.offset() for message, _ in InFlightRecord().each(0, RECORDS)] == [7, 8, 9]
