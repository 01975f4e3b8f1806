"""`up`, `down` and the supervisor with real servers, in a folder of their own."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.local.home import Home, home_at
from streams.local.lifecycle import down, is_whole, status, supervisor_of, up
from streams.local.processes import marked, wait_for


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="sensorium-up-"))
    folder.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    home = home_at(folder)
    yield home
    down(home, say=print)
    shutil.rmtree(folder)


def bring_up(home: Home) -> dict[str, int]:
    """Starts everything, and returns each process's pid by name."""
    rows = up(
        home, {}, say=print, only_servers=True, ports_anywhere=True, owner=os.getpid()
    ).processes
    assert is_whole(rows)
    return {row.name: row.pid or 0 for row in rows}


def test_a_second_up_leaves_everything_as_it_runs(home: Home) -> None:
    first = bring_up(home)
    assert set(first) == {"kafka", "postgres", "objects"}
    assert bring_up(home) == first


@pytest.mark.parametrize("name", ["objects", "postgres", "kafka"])
def test_a_killed_server_is_back(home: Home, name: str) -> None:
    before = bring_up(home)
    os.kill(before[name], signal.SIGKILL)
    assert wait_for(lambda: not is_whole(status(home)), 60)
    assert wait_for(lambda: is_whole(status(home)), 60)
    after = {row.name: row.pid for row in status(home)}
    assert after[name] != before[name]
    assert {other: after[other] for other in after if other != name} == {
        other: before[other] for other in before if other != name
    }


def test_after_the_supervisor_was_killed_the_next_up_takes_over_what_runs(home: Home) -> None:
    before = bring_up(home)
    supervisor = supervisor_of(home)
    assert supervisor
    os.kill(supervisor.pid, signal.SIGKILL)
    assert wait_for(lambda: supervisor_of(home) is None, 60)
    assert bring_up(home) == before
    assert supervisor_of(home)


def test_after_everything_was_killed_up_starts_it_again(home: Home) -> None:
    before = bring_up(home)
    supervisor = supervisor_of(home)
    assert supervisor
    for pid in (supervisor.pid, *before.values()):
        os.kill(pid, signal.SIGKILL)
    assert set(bring_up(home).values()).isdisjoint(before.values())


def test_down_ends_everything_even_without_a_supervisor(home: Home) -> None:
    bring_up(home)
    supervisor = supervisor_of(home)
    assert supervisor
    os.kill(supervisor.pid, signal.SIGKILL)
    assert wait_for(lambda: supervisor_of(home) is None, 60)
    rows = down(home, say=print)
    assert {row.state for row in rows} == {"stopped"}
    assert list(marked(home.mark(""))) == []


def test_the_files_that_hold_secrets_are_for_their_owner_only(home: Home) -> None:
    bring_up(home)
    files = [
        home.environment_file,
        *(file for file in home.run.iterdir() if file.suffix == ".json"),
    ]
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
    assert (
        f"SENSORIUM_RECEIVER__URL=http://127.0.0.1:{up_port(home)}\n"
        in home.environment_file.read_text()
    )


def up_port(home: Home) -> str:
    lines = dict(line.split("=", 1) for line in home.environment_file.read_text().splitlines())
    return lines["SENSORIUM_RECEIVER__PORT"]


def test_another_user_of_the_machine_can_read_no_message_and_no_file(home: Home) -> None:
    bring_up(home)
    open_to_others = [
        path
        for path in home.folder.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o006 and reachable_by_others(path, home)
    ]
    assert open_to_others == []


def reachable_by_others(path: Path, home: Home) -> bool:
    """True if everybody may pass through each folder between the home and the path."""
    between = [folder for folder in path.parents if folder.is_relative_to(home.folder)]
    return all(folder.stat().st_mode & 0o001 for folder in between)
