"""How a worker reacts when background work of its stage ends."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from schemas.receipts import Line
from schemas.settings import BreakerSettings as Limits
from schemas.settings import Kafka, Settings
from schemas.topics import Names
from streams.apps.assemble import create_app
from streams.lanes import app as lane_app_module
from streams.lanes import membership as membership_module
from streams.lanes.app import LaneApp, Lanes
from streams.lanes.breaker import Breaker
from streams.lanes.gate import Gate
from streams.lanes.lane import Lane
from streams.lanes.pace import Pace
from streams.lanes.state import KeptValues
from streams.lanes.transactions import LaneIdentity
from tests.integration.waiting import until


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reasons for which the worker would have ended its process."""
    reasons: list[str] = []
    monkeypatch.setattr(lane_app_module, "die", lambda why: reasons.append(str(why)))
    return reasons


async def after(*, raises: Exception | None, kept: bool, stopping: bool) -> None:
    """Ends a lane's task. With `kept`, the partition still belongs to the worker."""

    async def run() -> None:
        if raises is not None:
            raise raises

    lane: Any = SimpleNamespace(partition=3)
    lanes: Any = object.__new__(Lanes)
    task = asyncio.create_task(run())
    lanes.open = {3: lane} if kept else {}
    lanes._stopping, lanes.assigned = stopping, {3}
    lanes._tasks = SimpleNamespace(pop=lambda *_: task)
    await asyncio.wait({task})
    lanes._ended(lane, task)


@pytest.mark.parametrize(
    ("raises", "kept", "stopping", "dies"),
    [
        (None, True, False, True),
        (RuntimeError("x"), True, False, True),
        (None, True, True, False),
        (None, False, False, False),
        (RuntimeError("x"), False, False, False),
    ],
)
async def test_a_lane_that_ends_ends_its_worker_unless_it_was_told_to(
    raises: Exception | None, kept: bool, stopping: bool, dies: bool, ended: list[str]
) -> None:
    await after(raises=raises, kept=kept, stopping=stopping)
    assert bool(ended) == dies


def test_a_stage_whose_event_loop_is_blocked_is_not_alive() -> None:
    app: Any = object.__new__(LaneApp)
    app._seen_at = time.monotonic()
    assert app.is_alive
    app._seen_at -= lane_app_module.ALIVE_SECONDS
    assert not app.is_alive


async def test_a_gate_whose_task_fails_says_so_and_stays_shut() -> None:
    class Broken(Breaker):
        def forget(self) -> None:
            raise RuntimeError("a bug")

    class Desk:
        async def quiet(self, stage: Any) -> float:
            return 60.0

        stopped = resumed = quiet

        async def tenants(self) -> int:
            return 1

    desk: Any = Desk()
    gate = Gate("dedupe", Broken(Limits(consecutive=2, ratio=0.5, window_records=10)), desk)
    refused = [Line(n, b"acme:ycloud:1", 0, "quarantined", "stage_error", 0) for n in range(5)]
    with capture_logs() as logs:
        judging = asyncio.create_task(gate.judge(refused, lambda: False))
        await until(lambda: any(line["event"] == "stage_gate_failed" for line in logs))
    assert gate.is_shut
    judging.cancel()


class Adding:
    """An intake that adds portions of lines, each after the commit of the one before."""

    def __init__(self, *portions: int) -> None:
        self._portions = portions
        self.committed = 0

    async def run(self, lane: Lane) -> None:
        for number, count in enumerate(self._portions):
            lines = [Line(number, b"acme:ycloud:1", 0, "duplicate", "", 0)] * count
            await lane.add([], [(b"k", b"v")], lines, number + 1)
            self.committed += 1

    def dropped(self, lane: Lane) -> None:
        pass


def lane_without_kafka(intake: Adding, pace: Pace) -> Lane:
    """A lane whose transactions take a millisecond and write nothing."""
    identity = LaneIdentity(
        "dedupe", "group", "raw-messages", "log", "receipts", 0, frozenset(), Names()
    )
    lane = Lane(Kafka(), identity, KeptValues(), intake, pace)
    fake: Any = SimpleNamespace(
        open=lambda state: 0,
        source_consumer=lambda start: None,
        commit=lambda transaction: 0.001,
        abandon=lambda: None,
        close=lambda: None,
    )
    lane._transactions = fake
    return lane


@pytest.mark.parametrize(("lines", "committed"), [(10, 3), (9, 1)])
async def test_a_full_batch_is_committed_without_a_gap_and_another_one_is_not(
    lines: int, committed: int
) -> None:
    intake = Adding(lines, lines, lines)
    lane = lane_without_kafka(intake, Pace(600.0, batch_records=10))
    running = asyncio.create_task(lane.run())
    await until(lambda: intake.committed == committed)
    assert (intake.committed == 3) != bool(lane._pending)
    running.cancel()
    await asyncio.wait({running}, timeout=30)


async def test_a_lane_that_is_stopped_while_nothing_may_be_committed_ends() -> None:
    lane = lane_without_kafka(Adding(0), Pace(gap_seconds=0.0))
    lane.held = lambda: True
    running = asyncio.create_task(lane.run())
    await until(lambda: lane.ready and lane._pending.next_offset == 1)
    lane.stop()
    await asyncio.wait({running}, timeout=30)
    assert running.done(), "it waits for a commit that never comes, and keeps its clients"
    assert running.exception() is None


@pytest.mark.parametrize(("lacks", "dies"), [("at first", False), ("since the start", True)])
async def test_a_worker_that_waited_for_its_world_has_all_the_time_there_is_to_join(
    lacks: str, dies: bool, ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings())
    app.membership._alone_since -= 10 * membership_module.JOIN_SECONDS
    if lacks == "since the start":
        monkeypatch.setattr(membership_module, "JOIN_SECONDS", -1.0)
    began = time.monotonic()
    watching = asyncio.create_task(app._watch_membership())
    await until(lambda: bool(ended) or app._seen_at > began)
    assert bool(ended) == dies
    watching.cancel()
