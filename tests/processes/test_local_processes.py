import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.local.processes import (
    LocalError,
    Process,
    descends_from,
    end,
    marked,
    reap,
    send,
    start,
    started_at,
    wait_for,
)

SLEEP = ("sleep", "100")
PATH = {"PATH": os.environ["PATH"]}


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Process]:
    process = start(
        SLEEP, log=tmp_path / "log", environment=PATH, mark=f"{tmp_path}:sleeper", folder=tmp_path
    )
    yield process
    end({process: signal.SIGKILL}, 5)
    reap()


def test_a_started_process_is_alive_until_it_is_ended(started: Process) -> None:
    assert started.alive()
    end({started: signal.SIGTERM}, 5)
    assert not started.alive()


def test_a_zombie_is_dead(started: Process) -> None:
    os.kill(started.pid, signal.SIGKILL)
    assert wait_for(lambda: not started.alive(), 60)
    os.kill(started.pid, 0)  # it is still there for the kernel: nobody has reaped it


def test_a_process_with_the_same_pid_and_another_start_is_left_alone(started: Process) -> None:
    send(Process(started.pid, "1"), signal.SIGKILL)
    end({Process(started.pid, "1"): signal.SIGKILL}, 0)
    assert started.alive()


def test_what_ignores_its_signal_is_killed_at_the_deadline(tmp_path: Path) -> None:
    deaf = "import signal, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path('deaf').touch(); signal.pause()"
    process = start(
        (sys.executable, "-c", deaf),
        log=tmp_path / "log",
        environment=PATH,
        mark="",
        folder=tmp_path,
    )
    assert wait_for((tmp_path / "deaf").exists, 60)
    end({process: signal.SIGTERM}, 0.1)
    assert not process.alive()
    reap()


def test_a_marked_process_is_found_with_its_children(tmp_path: Path) -> None:
    mark = f"{tmp_path}:parent"
    parent = start(
        ("sh", "-c", "sleep 100 & wait"),
        log=tmp_path / "log",
        environment=PATH,
        mark=mark,
        folder=tmp_path,
    )
    try:
        assert wait_for(lambda: len(list(marked(f"{tmp_path}:"))) == 2, 60)
        found = dict(marked(f"{tmp_path}:"))
        assert set(found.values()) == {"parent"}
        assert all(descends_from(process.pid, {parent.pid}) for process in found)
        assert not descends_from(
            parent.pid, {process.pid for process in found if process != parent}
        )
    finally:
        end({process: signal.SIGKILL for process, _ in marked(f"{tmp_path}:")}, 5)
        reap()


def test_a_process_of_another_home_is_not_found(started: Process, tmp_path: Path) -> None:
    assert list(marked(f"{tmp_path}-other:")) == []


def test_a_program_that_is_not_there_is_a_local_error(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot start /no/such/program"):
        start(("/no/such/program",), log=tmp_path / "log", environment={}, mark="", folder=tmp_path)


def test_nobody_started_at_no_time() -> None:
    assert started_at(2**22 + 1) is None


def test_a_log_that_grew_large_is_put_aside_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.local.processes._LOG_BYTES", 3)
    log = tmp_path / "a.log"
    for expected in (None, "one\n"):
        process = start(("echo", "one"), log=log, environment=PATH, mark="", folder=tmp_path)
        assert wait_for(lambda: not process.alive(), 60)  # noqa: B023 — called before the next turn
        aside = tmp_path / "a.log.1"
        assert (aside.read_text() if aside.exists() else None) == expected
        assert log.read_text() == "one\n"
    reap()
