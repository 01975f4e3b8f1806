"""What a sink takes from its consumer at once."""

from types import SimpleNamespace
from typing import Any

from confluent_kafka import TopicPartition

from connectors.postgres.sink import Sink
from schemas import metrics
from schemas.topics import Names


class Rebalanced:
    """A consumer whose partitions change within a call of `consume`, as in a rebalance."""

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
    sink._contact = SimpleNamespace(note_contact=lambda: None, check=lambda: None)
    sink._is_record = lambda message: True
    sink._consumer = Rebalanced(sink, at_call)
    return sink, sink._take()


def test_records_of_two_assignments_are_read_again_and_never_written_together() -> None:
    sink, taken = taking(at_call=2)
    assert (taken, sink._begins_again) == ([], True)
    sink, taken = taking(at_call=1)
    assert (len(taken), sink._begins_again) == (2, False)


def test_the_lag_of_a_partition_that_another_sink_has_is_told_no_more() -> None:
    sink: Any = Sink.__new__(Sink)
    sink._assignments, sink._names = 0, Names("moved")
    sink._positions = SimpleNamespace(lose=lambda partitions: list(partitions))
    for partition in ("3", "4"):
        metrics.SINK_LAG.labels("receipts", partition).set(9)
    place = TopicPartition("moved-receipts", 3)
    sink._on_revoke(None, [place, TopicPartition("moved-quarantine", 3)])
    (family,) = metrics.SINK_LAG.collect()
    told = {(one.labels["topic"], one.labels["partition"]) for one in family.samples}
    metrics.SINK_LAG.clear()
    assert ("receipts", "4") in told and ("receipts", "3") not in told
