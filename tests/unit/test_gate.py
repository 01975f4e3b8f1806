import asyncio
from dataclasses import dataclass, field

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from schemas.outcomes import Unavailable
from schemas.pipeline import Stage
from schemas.receipts import Line
from schemas.settings import BreakerSettings as Limits
from streams.lanes import gate as gates
from streams.lanes.breaker import EARNED_BY_THE_BODY, Breaker
from streams.lanes.gate import Gate


@dataclass
class Desk:
    """The person who resumes the stage.

    `troubles` are raised instead of the next answers. `resumed_elsewhere` is the quiet
    time that another process got.
    """

    troubles: list[Exception] = field(default_factory=list)
    quiet_seconds: float | None = None
    resumed_elsewhere: float = 0.0
    tenant_count: int | Exception = 1
    told: list[str] = field(default_factory=list)

    async def quiet(self, stage: Stage) -> float:
        self._answers()
        return self.resumed_elsewhere

    async def tenants(self) -> int:
        if isinstance(self.tenant_count, Exception):
            raise self.tenant_count
        return self.tenant_count

    async def stopped(self, stage: Stage, detail: str) -> object:
        self._answers()
        self.told.append(detail)
        return len(self.told)

    async def resumed(self, stage: Stage, stop: object, detail: str) -> float | None:
        self._answers()
        return self.quiet_seconds

    def _answers(self) -> None:
        if self.troubles:
            raise self.troubles.pop(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "ASK_SECONDS", 0.001)
    monkeypatch.setattr(gates, "LOOK_SECONDS", 0.001)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def gate(desk: Desk) -> Gate:
    return Gate("dedupe", Breaker(Limits(consecutive=3, ratio=0.5, window_records=10)), desk)


def lines(outcome: str, count: int, tenant: str = "acme", reason: str = "") -> list[Line]:
    reason = reason or ("stage_error" if outcome == "quarantined" else "")
    return [
        Line(offset, f"{tenant}:ycloud:{offset}".encode(), 0, outcome, reason, 0)
        for offset in range(count)
    ]


def never() -> bool:
    return False


async def until(condition: object) -> None:
    async with asyncio.timeout(30):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.001)


async def test_what_is_good_goes_through(gate: Gate) -> None:
    assert await gate.judge(lines("forwarded", 100), never)
    assert not gate.is_shut


async def test_a_batch_that_trips_it_waits_until_a_person_resumes_and_then_goes_through(
    gate: Gate, desk: Desk
) -> None:
    waiting = asyncio.create_task(gate.judge(lines("quarantined", 3), never))
    await until(lambda: desk.told)
    assert gate.is_shut and not waiting.done()
    desk.quiet_seconds = 0.0
    assert await asyncio.wait_for(waiting, 30)
    assert not gate.is_shut


async def test_whatever_comes_while_it_is_shut_waits_too(gate: Gate, desk: Desk) -> None:
    first = asyncio.create_task(gate.judge(lines("quarantined", 3), never))
    await until(lambda: desk.told)
    second = asyncio.create_task(gate.judge(lines("forwarded", 1, "other"), never))
    await asyncio.sleep(0)
    assert not second.done()
    desk.quiet_seconds = 0.0
    assert await asyncio.wait_for(asyncio.gather(first, second), 30) == [True, True]


async def test_a_lane_that_is_lost_while_it_waits_commits_nothing(gate: Gate, desk: Desk) -> None:
    lost = False
    waiting = asyncio.create_task(gate.judge(lines("quarantined", 3), lambda: lost))
    await until(lambda: desk.told)
    lost = True
    assert not await asyncio.wait_for(waiting, 30)
    desk.quiet_seconds = 0.0
    await until(lambda: not gate.is_shut)


async def test_after_resuming_it_keeps_quiet_as_long_as_was_said(gate: Gate, desk: Desk) -> None:
    waiting = asyncio.create_task(gate.judge(lines("quarantined", 3), never))
    await until(lambda: desk.told)
    desk.quiet_seconds = 600.0
    await asyncio.wait_for(waiting, 30)
    assert await asyncio.wait_for(gate.judge(lines("quarantined", 50), never), 30)
    assert len(desk.told) == 1


@pytest.mark.parametrize(
    "trouble",
    [Unavailable("postgres"), LookupError("no such table")],
    ids=["away", "anything else"],
)
async def test_whatever_postgres_says_it_stays_shut_and_tells_later(
    trouble: Exception, gate: Gate, desk: Desk
) -> None:
    desk.troubles = [trouble] * 3
    waiting = asyncio.create_task(gate.judge(lines("quarantined", 3), never))
    with capture_logs() as said:
        await until(lambda: desk.told)
    assert gate.is_shut
    warned = [line for line in said if line["log_level"] == "warning"]
    assert [(line["event"], line["detail"]) for line in warned] == [
        ("stage_stop_not_stored", f"{type(trouble).__name__}: {trouble}")
    ] * 3
    desk.quiet_seconds = 0.0
    await asyncio.wait_for(waiting, 30)


async def test_whatever_postgres_says_while_it_waits_the_answer_is_heard(
    gate: Gate, desk: Desk
) -> None:
    waiting = asyncio.create_task(gate.judge(lines("quarantined", 3), never))
    await until(lambda: desk.told)
    desk.troubles = [LookupError("no such table"), PermissionError()]
    desk.quiet_seconds = 0.0
    assert await asyncio.wait_for(waiting, 30)
    assert not desk.troubles


async def test_a_quiet_that_another_process_of_the_stage_was_given_holds_here_too(
    gate: Gate, desk: Desk
) -> None:
    desk.resumed_elsewhere = 600.0
    with capture_logs() as said:
        assert await asyncio.wait_for(gate.judge(lines("quarantined", 3), never), 30)
        desk.resumed_elsewhere = 0.0
        assert await asyncio.wait_for(gate.judge(lines("quarantined", 50), never), 30)
    assert (desk.told, said) == ([], [])


async def test_after_a_quiet_that_is_over_it_stops_again(gate: Gate, desk: Desk) -> None:
    desk.resumed_elsewhere = 1e-9
    assert await asyncio.wait_for(gate.judge(lines("quarantined", 3), never), 30)
    desk.resumed_elsewhere = 0.0
    waiting = asyncio.create_task(gate.judge(lines("quarantined", 3), never))
    await until(lambda: desk.told)
    desk.quiet_seconds = 0.0
    assert await asyncio.wait_for(waiting, 30)


@pytest.mark.parametrize("reason", sorted(EARNED_BY_THE_BODY))
async def test_what_a_body_itself_earns_never_shuts_it(gate: Gate, reason: str) -> None:
    for tenant in ("acme", "other"):
        assert await gate.judge(lines("quarantined", 1_000, tenant, reason), never)
    assert not gate.is_shut


def held() -> float:
    return REGISTRY.get_sample_value("sensorium_stage_tenants_held", {"stage": "dedupe"}) or 0.0


@pytest.mark.parametrize("count", [2, Unavailable("postgres")], ids=["others", "nobody knows"])
async def test_a_tenant_that_fails_alone_is_held_and_the_others_pass(
    count: int | Exception, gate: Gate, desk: Desk
) -> None:
    desk.tenant_count = count
    with capture_logs() as said:
        for _ in range(20):
            assert await asyncio.wait_for(gate.judge(lines("quarantined", 5, "hostile"), never), 30)
        assert await asyncio.wait_for(gate.judge(lines("forwarded", 1, "quiet"), never), 30)
    assert [line["tenant"] for line in said if line["event"] == "tenant_held"] == ["hostile"]
    assert (desk.told, held()) == ([], 1)
    assert await asyncio.wait_for(gate.judge(lines("forwarded", 10, "hostile"), never), 30)
    assert held() == 0


async def test_a_faulty_release_stops_the_stage_with_the_second_tenant_it_refuses(
    gate: Gate, desk: Desk
) -> None:
    desk.tenant_count = 2
    assert await asyncio.wait_for(gate.judge(lines("quarantined", 5), never), 30)
    waiting = asyncio.create_task(gate.judge(lines("quarantined", 1, "other"), never))
    await until(lambda: desk.told)
    assert not waiting.done()
    desk.quiet_seconds = 0.0
    assert await asyncio.wait_for(waiting, 30)


async def test_while_postgres_hangs_the_others_wait_a_moment_only(
    gate: Gate, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "TENANTS_SECONDS", 0.01)

    async def hangs() -> int:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(desk, "tenants", hangs)
    assert await asyncio.wait_for(gate.judge(lines("quarantined", 5), never), 30)
    assert desk.told == []


async def test_a_job_that_was_only_taken_is_not_a_verdict(gate: Gate) -> None:
    assert await gate.judge([*lines("quarantined", 2), *lines("admitted", 5)], never)
    assert not gate.is_shut
