"""Jobs whose lane closes while their record is read again."""

from types import SimpleNamespace
from typing import Any

from schemas.records import VisionJob
from streams.apps.jobs import JobStage, _Settlement


class LostJob:
    """Its lane closed, so that its record was not read."""

    def __init__(self) -> None:
        self.is_lost = False
        self.ended: list[str] = []
        self.entry = SimpleNamespace(key=b"acme:ycloud:1", headers=[], first_attempt_at=0.0)
        self.partition, self.offset = 0, 7

    async def value(self) -> bytes | None:
        self.is_lost = True
        return None

    def line(self, outcome: str, reason: str = "") -> Any:
        return SimpleNamespace(outcome=outcome, reason=reason)

    def finish(self, writes: Any, line: Any) -> None:
        self.ended.append(line.outcome)

    def give_back(self) -> None:
        self.ended.append("given back")


class NotedGate:
    def __init__(self) -> None:
        self.judged: list[Any] = []

    async def wait(self, given_up: Any) -> bool:
        return True

    async def judge(self, lines: Any, given_up: Any) -> bool:
        self.judged += lines
        return False


async def test_a_record_that_a_closed_lane_did_not_read_speaks_against_nobody() -> None:
    job, gate, nothing = LostJob(), NotedGate(), SimpleNamespace()
    nothing.quarantined = lambda *_: None
    nothing.write = lambda *_: SimpleNamespace(_replace=lambda **_: None)
    world: Any = None
    stage: Any = JobStage("describe", VisionJob, lambda turn: None, world)  # type: ignore[arg-type,return-value]
    parts: tuple[Any, Any, Any] = nothing, gate, None
    given: Any = job
    await _Settlement(stage, *parts).one(given)
    assert gate.judged == []
    assert job.ended == ["given back"]
