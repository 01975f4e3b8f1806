import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from streams.local.home import Home, home_at, write_text
from streams.local.processes import end, marked, reap, started_at, wait_for
from streams.local.supervisor import (
    FIRST_DELAY_SECONDS,
    LONG_LIFE_SECONDS,
    LONGEST_DELAY_SECONDS,
    SupervisedProcess,
    Supervisor,
    running_in,
)
from streams.local.topology import Declared


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = home_at(tmp_path)
    home.make()
    yield home
    end({process: signal.SIGKILL for process, _ in marked(home.mark(""))}, 5)
    reap()


def sleeper(name: str, seconds: int = 100, role: str = "sink", **more: object) -> Declared:
    argv = ("sleep", str(seconds))
    return msgspec.convert(
        {
            "name": name,
            "role": role,
            "argv": argv,
            "port": None,
            "url": None,
            "fingerprint": str(seconds),
            **more,
        },
        Declared,
    )


def declare(home: Home, *wanted: Declared) -> None:
    write_text(home.declared_file, msgspec.json.encode(wanted).decode())


def supervising(home: Home) -> Supervisor:
    supervisor = Supervisor(home)
    supervisor.take_over()
    return supervisor


def tick_until_running(supervisor: Supervisor) -> dict[str, int]:
    """Waits until everything runs, and returns each process's pid by name."""

    def all_run() -> bool:
        supervisor.tick()
        return all(row.state == "running" for row in running_in(supervisor.home))

    assert wait_for(all_run, 60)
    return {row.name: row.pid or 0 for row in running_in(supervisor.home)}


def test_what_is_declared_runs_and_is_told_of(home: Home) -> None:
    declare(home, sleeper("a"), sleeper("b"))
    running = tick_until_running(supervising(home))
    assert all(started_at(pid) for pid in running.values())
    assert set(running) == {"a", "b"}


def test_a_dead_process_is_started_again(home: Home) -> None:
    declare(home, sleeper("a"), sleeper("b"))
    supervisor = supervising(home)
    before = tick_until_running(supervisor)
    os.kill(before["a"], signal.SIGKILL)
    assert wait_for(lambda: not started_at(before["a"]), 60)
    supervisor.tick()
    assert [row.state for row in running_in(home)] == ["dead", "running"]
    after = tick_until_running(supervisor)
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]


def test_the_delay_doubles_up_to_its_limit_and_starts_again_after_a_long_life() -> None:
    kept, delays = SupervisedProcess(sleeper("a")), []
    for now in range(8):
        kept.since = float(now)
        kept.died(float(now))
        delays.append(kept.not_before - now)
    assert delays == [0.5, 1, 2, 4, 8, 16, LONGEST_DELAY_SECONDS, LONGEST_DELAY_SECONDS]
    kept.since = 100.0
    kept.died(100.0 + LONG_LIFE_SECONDS)
    assert kept.not_before == 100.0 + LONG_LIFE_SECONDS + FIRST_DELAY_SECONDS


def test_another_declaration_restarts_what_it_touches_and_nothing_else(home: Home) -> None:
    declare(home, sleeper("changed"), sleeper("same"), sleeper("gone"))
    supervisor = supervising(home)
    before = tick_until_running(supervisor)
    declare(home, sleeper("changed", 200), sleeper("same"), sleeper("new"))
    after = tick_until_running(supervisor)
    assert set(after) == {"changed", "same", "new"}
    assert after["same"] == before["same"]
    assert after["changed"] != before["changed"]
    assert not started_at(before["changed"])
    assert not started_at(before["gone"])


def test_the_next_supervisor_takes_over_what_still_is_as_declared(home: Home) -> None:
    declare(home, sleeper("changed"), sleeper("same"), sleeper("dead"))
    before = tick_until_running(supervising(home))
    os.kill(before["dead"], signal.SIGKILL)
    declare(home, sleeper("changed", 200), sleeper("same"), sleeper("dead"))
    after = tick_until_running(supervising(home))
    assert after["same"] == before["same"]
    assert after["dead"] != before["dead"]
    assert not started_at(before["changed"])


def test_a_child_that_outlived_its_parent_is_ended_before_the_parent_starts_again(
    home: Home,
) -> None:
    parent = msgspec.structs.replace(sleeper("a"), argv=("sh", "-c", "sleep 100 & wait"))
    declare(home, parent)
    supervisor = supervising(home)
    before = tick_until_running(supervisor)
    assert wait_for(lambda: len(list(marked(home.mark("a")))) == 2, 60)
    family = {process for process, _ in marked(home.mark("a"))}
    os.kill(before["a"], signal.SIGKILL)
    assert wait_for(lambda: not started_at(before["a"]), 60)
    tick_until_running(supervisor)
    assert not any(process.alive() for process in family)


def test_roles_end_before_servers(home: Home) -> None:
    script = "trap 'date +%s%N > {name}.ended; exit' TERM; touch {name}.ready; while :; do sleep 0.05; done"
    for_each = (("k", "server"), ("r", "sink"))
    declare(
        home,
        *(
            msgspec.structs.replace(
                sleeper(name, role=role), argv=("sh", "-c", script.format(name=name))
            )
            for name, role in for_each
        ),
    )
    supervisor = supervising(home)
    running = tick_until_running(supervisor)
    assert wait_for(lambda: all((home.folder / f"{name}.ready").exists() for name in "kr"), 60)
    supervisor.shut_down()
    assert (home.folder / "r.ended").read_text() < (home.folder / "k.ended").read_text()
    assert not any(started_at(pid) for pid in running.values())
    assert {(row.state, row.pid) for row in running_in(home)} == {("stopped", None)}


def test_a_process_that_does_not_answer_yet_is_only_starting(home: Home) -> None:
    declare(home, sleeper("a", probe="http://127.0.0.1:1/readyz"))
    supervisor = supervising(home)
    supervisor.tick()
    supervisor.tick()
    assert [row.state for row in running_in(home)] == ["starting"]


def test_a_program_that_cannot_start_is_dead_and_its_log_says_why(home: Home) -> None:
    declare(home, msgspec.structs.replace(sleeper("a"), argv=("/no/such/program",)))
    supervising(home).tick()
    assert [row.state for row in running_in(home)] == ["dead"]
    assert "/no/such/program" in (home.logs / "a.log").read_text()


def test_what_runs_elsewhere_is_named_and_not_started(home: Home) -> None:
    declare(home, msgspec.structs.replace(sleeper("kafka", role="server"), argv=()))
    supervising(home).tick()
    assert [(row.state, row.pid) for row in running_in(home)] == [("elsewhere", None)]


def test_roles_are_given_their_own_settings_and_none_of_the_supervisors(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENSORIUM_NAMESPACE", "not-this-one")
    declare(home, sleeper("a", environment={"SENSORIUM_LOG__LEVEL": "debug"}))
    pid = tick_until_running(supervising(home))["a"]
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert [entry for entry in environment if entry.startswith(b"SENSORIUM_")] == [
        b"SENSORIUM_LOG__LEVEL=debug"
    ]


def test_what_happens_to_processes_is_in_the_supervisors_log_and_in_its_state(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(home, sleeper("sink"))
    supervisor = supervising(home)
    first = tick_until_running(supervisor)["sink"]
    os.kill(first, signal.SIGKILL)
    assert wait_for(lambda: (supervisor.tick(), is_running(home, "sink", besides=first))[1], 60)
    supervisor.shut_down()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == [
        "process_started",
        "process_ready",
        "process_died",
        "process_started",
        "process_ready",
        "process_stopped",
    ]
    assert (lines[2]["pid"], lines[2]["starts"], lines[3]["starts"]) == (first, 1, 2)


def is_running(home: Home, name: str, *, besides: int) -> bool:
    rows = [row for row in running_in(home) if row.name == name]
    return any(row.state == "running" and row.pid != besides and row.since for row in rows)


def test_restarts_are_still_counted_after_the_supervisor_was_replaced(home: Home) -> None:
    declare(home, sleeper("sink"))
    first = supervising(home)
    tick_until_running(first)
    second = supervising(home)
    assert (second.supervised["sink"].starts, second.supervised["sink"].wall_since > 0) == (1, True)
    second.shut_down()
