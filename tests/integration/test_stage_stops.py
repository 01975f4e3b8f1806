"""A stop as its stage records it, and the answer that `sensorium resume` gives."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from schemas.pipeline import Stage
from storage.postgres.sql import queries
from storage.postgres.stops import StageStops
from tests.integration.commands import Commands
from tests.integration.databases import Connection

T = TypeVar("T")
STAGE: Stage = "dedupe"


def of_the_stage(commands: Commands, work: Callable[[StageStops], Awaitable[T]]) -> T:
    async def run() -> T:
        return await work(StageStops(commands.settings.postgres, commands.names))

    return asyncio.run(run())


def stopped(commands: Commands, detail: str = "why", stage: Stage = STAGE) -> object:
    return of_the_stage(commands, lambda stops: stops.stopped(stage, detail))


def resumed(commands: Commands, stop: object, stage: Stage = STAGE) -> float | None:
    return of_the_stage(commands, lambda stops: stops.resumed(stage, stop, "why"))


def quiet(commands: Commands, stage: Stage = STAGE) -> float:
    return of_the_stage(commands, lambda stops: stops.quiet(stage))


def standing(commands: Commands) -> list[tuple[str, str]]:
    async def read(connection: Connection) -> list[tuple[str, str]]:
        return [
            (row["stage"], row["detail"])
            for row in await connection.fetch(queries("stops")["standing_stops"])
        ]

    return commands.database(read)


def forget_all(commands: Commands) -> None:
    commands.database(lambda connection: connection.execute("DELETE FROM stage_stops"))


def test_a_stop_lasts_until_a_person_resumes_its_stage(commands: Commands) -> None:
    stop = stopped(commands)
    assert resumed(commands, stop) is None
    assert standing(commands) == [(STAGE, "why")]
    assert commands.json("resume", "assemble")["resumed"] == []
    assert resumed(commands, stop) is None
    assert [
        one["detail"] for one in commands.json("resume", STAGE, "--quiet-minutes", "2")["resumed"]
    ] == ["why"]
    assert resumed(commands, stop) == pytest.approx(120, abs=60)
    assert standing(commands) == []


def test_it_says_whether_there_is_more_than_one_tenant(commands: Commands) -> None:
    found = [of_the_stage(commands, lambda stops: stops.tenants())]
    for name in ("acme", "other", "third"):
        commands.json("tenants", "add", name)
        found.append(of_the_stage(commands, lambda stops: stops.tenants()))
    assert found == [0, 1, 2, 2]


def test_a_stop_that_is_gone_from_the_database_is_written_again_and_can_be_resumed(
    commands: Commands,
) -> None:
    stop = stopped(commands)
    forget_all(commands)
    assert resumed(commands, stop) is None
    assert standing(commands) == [(STAGE, "why")]
    assert [
        one["detail"] for one in commands.json("resume", STAGE, "--quiet-minutes", "0")["resumed"]
    ] == ["why"]
    assert resumed(commands, stop) == 0


def test_the_quiet_minutes_hold_for_the_stage_whichever_process_asks_and_for_no_other(
    commands: Commands,
) -> None:
    assert quiet(commands) == 0
    resumed_one = stopped(commands)
    commands.json("resume", STAGE, "--quiet-minutes", "2")
    later = stopped(commands, "by a process that had not heard of it")
    assert [quiet(commands), resumed(commands, resumed_one), resumed(commands, later)] == [
        pytest.approx(120, abs=60)
    ] * 3
    assert quiet(commands, "assemble") == 0
    assert resumed(commands, stopped(commands, stage="assemble"), "assemble") is None


def test_without_quiet_minutes_the_next_stop_takes_effect_at_once(commands: Commands) -> None:
    stopped(commands)
    commands.json("resume", STAGE, "--quiet-minutes", "0")
    assert quiet(commands) == 0
    assert resumed(commands, stopped(commands)) is None
