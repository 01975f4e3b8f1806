"""What a sink takes from its consumer at once."""

from types import SimpleNamespace
from typing import Any

from connectors.postgres.sink import Sink


class Rebalanced:
    """A consumer whose partitions change within a call of `consume`, as a rebalance does."""

    def __init__(self, sink: Sink, at_call: int) -> None:
        self._sink, self._calls_left = sink, at_call

    def consume(self, count: int, seconds: float) -> list[Any]:
        self._calls_left -= 1
        if not self._calls_left:
            self._sink._assignments += 1
        return ["a record"]


def taking(at_call: int) -> tuple[Sink, list[Any]]:
    sink: Any = Sink.__new__(Sink)
    sink._ended, sink._assignments, sink._begins_again = [], 0, False
    sink._contact = SimpleNamespace(heard=lambda: None, check=lambda: None)
    sink._is_record = lambda message: True
    sink._consumer = Rebalanced(sink, at_call)
    return sink, sink._take()


def test_records_of_two_assignments_are_read_again_and_never_written_together() -> None:
    sink, taken = taking(at_call=2)
    assert (taken, sink._begins_again) == ([], True)
    sink, taken = taking(at_call=1)
    assert (len(taken), sink._begins_again) == (2, False)
