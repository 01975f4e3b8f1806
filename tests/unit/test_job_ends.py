"""How a run of a job is settled: each end calls one method of the job."""

from types import SimpleNamespace
from typing import Any

import pytest

from schemas.outcomes import Unavailable
from schemas.versions import UnknownVersion
from streams.lanes.job_ends import Done, Held, JobEnd, LaneLost, Later, run_job


class NotedJob:
    """Notes how it was settled. With `closes`, its lane closes while its record is re-read."""

    def __init__(self, closes: bool = False, unread: Unavailable | None = None) -> None:
        self.is_lost = False
        self._closes, self._unread = closes, unread
        self.ended: list[Any] = []

    async def value(self) -> bytes | None:
        self.is_lost = self._closes
        if self._unread is not None:
            raise self._unread
        return None if self._closes else b"value"

    def line(self, outcome: str, reason: str = "") -> Any:
        return (outcome, reason)

    def finish(self, writes: Any, line: Any) -> None:
        self.ended.append(("finished", writes, line))

    def postpone(self, trouble: Unavailable) -> float:
        self.ended.append(("postponed", trouble))
        return 123.0

    def hold(self, newer: UnknownVersion) -> None:
        self.ended.append(("held", newer))

    def give_back(self) -> None:
        self.ended.append("given back")


class NotedGate:
    def __init__(self, opens: bool = True) -> None:
        self.judged: list[Any] = []
        self._opens = opens

    async def wait(self, given_up: Any) -> bool:
        return self._opens

    async def judge(self, lines: Any, given_up: Any) -> bool:
        self.judged += lines
        return True


async def settled(job: Any, end: JobEnd, gate: Any) -> list[bytes | None]:
    """The values that the stage was called with."""
    called = []

    async def call(job: Any, value: bytes | None) -> JobEnd:
        called.append(value)
        return end

    await run_job(job, call, gate)
    return called


OVER = Done([], "forwarded", "")
TROUBLE = Unavailable("model", 3.0)
NEWER: Any = SimpleNamespace()


@pytest.mark.parametrize(
    ("end", "ended", "judged"),
    [
        (OVER, ("finished", [], ("forwarded", "")), [("forwarded", "")]),
        (
            Done([], "quarantined", "stage_error"),
            ("finished", [], ("quarantined", "stage_error")),
            [("quarantined", "stage_error")],
        ),
        (Later(TROUBLE), ("postponed", TROUBLE), []),
        (Held(NEWER), ("held", NEWER), []),
        (LaneLost(), "given back", []),
    ],
)
async def test_each_end_of_a_job_is_settled_once(end: JobEnd, ended: Any, judged: Any) -> None:
    job, gate = NotedJob(), NotedGate()
    assert await settled(job, end, gate) == [b"value"]
    assert (job.ended, gate.judged) == ([ended], judged)


async def test_who_notes_why_a_job_waits_is_told_when_it_is_due() -> None:
    told: list[float] = []
    await settled(NotedJob(), Later(TROUBLE, told.append), NotedGate())
    assert told == [123.0]


async def test_a_record_that_a_closed_lane_did_not_read_speaks_against_nobody() -> None:
    job, gate = NotedJob(closes=True), NotedGate()
    assert await settled(job, OVER, gate) == []
    assert (job.ended, gate.judged) == (["given back"], [])


async def test_a_record_that_the_brokers_do_not_give_in_time_is_tried_later() -> None:
    job = NotedJob(unread=TROUBLE)
    assert await settled(job, OVER, NotedGate()) == []
    assert job.ended == [("postponed", TROUBLE)]


async def test_a_job_that_a_shut_gate_kept_until_its_lane_was_lost_is_given_back() -> None:
    job = NotedJob()
    assert await settled(job, OVER, NotedGate(opens=False)) == []
    assert job.ended == ["given back"]
