"""Slow brokers: the cost of restarts must not keep them slow."""

import itertools
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from schemas.settings import Kafka
from schemas.topics import Names
from storage import waiting
from streams.lanes import transactions
from streams.lanes.transactions import Abandoned, LaneIdentity, PartitionTransactions
from streams.roles.stream import STEADY_SECONDS, Child

IDENTITY = LaneIdentity(
    "dedupe", "sensorium-dedupe", "raw-messages", "log", "receipts", 0, frozenset(), Names()
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (transactions, waiting):
        monkeypatch.setattr(module, "time", made)
    return made


def fencing(monkeypatch: pytest.MonkeyPatch, clock: Clock, *takes: float) -> list[float]:
    """Fences that take this long, one after the other. Returns when each began."""
    began: list[float] = []
    left = list(takes)

    class Producer:
        def __init__(self, _config: Any) -> None: ...

        def init_transactions(self, _seconds: float) -> None:
            began.append(clock.now)
            clock.now += left.pop(0)

    monkeypatch.setattr(transactions, "Producer", Producer)
    return began


def test_a_lane_loads_nothing_before_the_brokers_are_quick(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = fencing(monkeypatch, clock, 9.0, 9.0, 9.0, 0.5)
    with capture_logs() as logs:
        PartitionTransactions(Kafka(), IDENTITY)._fence_once_brokers_are_quick()
    waits = [round(after - before - 9.0) for before, after in itertools.pairwise(began)]
    assert (len(began), waits) == (4, [2, 4, 8])
    assert [line["event"] for line in logs] == ["brokers_slow"] * 3


def test_brokers_that_are_always_slow_do_not_keep_a_lane_from_opening_for_ever(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = fencing(monkeypatch, clock, *[9.0] * 50)
    PartitionTransactions(Kafka(), IDENTITY)._fence_once_brokers_are_quick()
    assert 3 < len(began) < 20
    assert clock.now - began[0] < 1.5 * transactions.PATIENCE_SECONDS


def test_a_partition_that_is_given_away_meanwhile_is_not_fenced_again(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = fencing(monkeypatch, clock, 9.0, 0.5)
    opening = PartitionTransactions(Kafka(), IDENTITY)
    monkeypatch.setattr(clock, "sleep", lambda _seconds: opening.abandon())
    with pytest.raises(Abandoned):
        opening._fence_once_brokers_are_quick()
    assert len(began) == 1


@pytest.mark.parametrize(
    ("ready_after", "lived", "steady"),
    [
        (None, 10 * STEADY_SECONDS, False),
        (5 * STEADY_SECONDS, 5.5 * STEADY_SECONDS, False),
        (2.0, STEADY_SECONDS + 3.0, True),
    ],
)
def test_only_a_worker_that_was_ready_for_a_while_makes_the_next_start_soon(
    ready_after: float | None, lived: float, steady: bool
) -> None:
    process: Any = None
    child = Child("dedupe", process, 0, 0, 0.0)
    child.tell(json.dumps({"at": 0.5, "ready": False}).encode())
    if ready_after is not None:
        for at in (ready_after, ready_after + 1):
            child.tell(json.dumps({"at": at, "ready": True}).encode())
    assert child.was_steady(lived) == steady
