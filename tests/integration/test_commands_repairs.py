"""Repairs by plan from the command line."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.records import MediaJob
from storage.postgres.repair_plans import RepairChoice
from streams.commands.main import main
from streams.repair import applying
from streams.settings import to_environment
from tests.integration.commands import Commands, store
from tests.integration.console import row
from tests.integration.databases import Connection
from tests.integration.replays import again, failed, outputs, produce, set_aside
from tests.integration.test_redo import begun, killed


def answering(commands: Commands, monkeypatch: pytest.MonkeyPatch, answer: str, *words: str) -> Any:
    """Runs the command at a terminal at which a person answers."""
    monkeypatch.setattr("streams.commands.repairing._is_terminal", lambda: True)
    return CliRunner().invoke(
        main, words, input=answer, env=to_environment(commands.settings) | commands.more
    )


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "raw", "--offsets", "0:0-1"),
        ("quarantine", "replay", "--all", "--wait-seconds", "0"),
        ("replay", "attachments", "--reason", "media_not_found"),
    ],
    ids=["raw", "quarantine", "attachments"],
)
def test_at_a_terminal_the_plan_is_shown_and_asked_about(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    produce(commands, 2)
    set_aside(commands, 7, value=b"refused")
    store(commands, row("1", failed(0, "media_not_found")))
    refused = answering(commands, monkeypatch, "n\n", *words)
    assert refused.exit_code == 1 and "plan: " in refused.stderr and again(commands) == []
    assert commands.json("repairs", "list") == {"repairs": []}
    for answer, more in (("y\n", ()), ("", ("--yes",))):
        assert answering(commands, monkeypatch, answer, *words, *more).exit_code == 0
    (last, *_) = commands.json("repairs", "list")["repairs"]
    assert (last["state"], last["tenant_id"]) == ("done", "*")


def test_a_repair_that_another_command_is_at_is_not_done_beside_it(commands: Commands) -> None:
    set_aside(commands, 7)
    commands.json("tenants", "add", "acme")
    repair_id = begun(commands, "quarantine", RepairChoice())

    async def held(connection: Connection) -> None:
        await connection.execute("UPDATE repairs SET held_until = now() + interval '1 minute'")

    commands.database(held)
    says = commands.fails("quarantine", "replay", "--all")
    assert f"{repair_id} is under way" in says and "sensorium repairs cancel" in says
    assert commands.json("repairs", "cancel", repair_id)["state"] == "cancelled"
    assert "it is cancelled" in commands.fails("repairs", "cancel", repair_id)
    assert "there is no repair" in commands.fails("repairs", "cancel", "rep_none")
    done = commands.json("quarantine", "replay", "--all", "--wait-seconds", "0")
    assert (done["records"], len(again(commands))) == (1, 1)


def test_a_second_replay_of_attachments_does_not_begin_while_one_runs(commands: Commands) -> None:
    store(commands, row("1", failed(0, "media_not_found")))
    commands.json("tenants", "add", "acme")
    choice = RepairChoice(reason="media_not_found", limit=1_000)
    repair_id = begun(commands, "attachments", choice)

    async def held(connection: Connection) -> None:
        await connection.execute("UPDATE repairs SET held_until = now() + interval '1 minute'")

    commands.database(held)
    for tenant in (("--tenant", "acme"), ()):
        says = commands.fails("replay", "attachments", "--reason", "media_not_found", *tenant)
        assert f"{repair_id} is under way" in says
    assert outputs(commands, "media", MediaJob) == []
    assert commands.json("repairs", "cancel", repair_id)["state"] == "cancelled"
    done = commands.json("replay", "attachments", "--reason", "media_not_found")
    assert (done["attachments"], len(outputs(commands, "media", MediaJob))) == (1, 1)


def test_the_same_command_again_continues_what_a_killed_one_began(commands: Commands) -> None:
    produce(commands, 7)
    commands.json("tenants", "add", "acme")
    repair_id = begun(commands, "raw", RepairChoice(spans=("0:0-6",)))
    killed(commands, repair_id, "replay_after_commit:2")
    result = commands.run("replay", "raw", "--offsets", "0:0-6", "--tenant", "acme", "--json")
    assert json.loads(result.stdout)["records"] == 7, result.stderr
    assert f"continues {repair_id}" in result.stderr
    assert sorted(map(int, again(commands))) == list(range(7))


def test_a_rate_bounds_how_fast_records_go(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = list[float]()

    async def noted(held: Any, began: float) -> None:
        waited.append(held.rate)

    monkeypatch.setattr(applying, "_pace", noted)
    produce(commands, 5)
    result = commands.run("replay", "raw", "--offsets", "0:0-4", "--rate", "4", "--json")
    assert json.loads(result.stdout)["records"] == 5 and waited == [4.0] * 3
    assert "at most 4 per second" in result.stderr
