import os
import subprocess
from pathlib import Path

import pytest

from streams.local import postgres
from streams.local.processes import LocalError, started_at, wait_for


def test_the_lock_of_a_zombie_is_removed(tmp_path: Path) -> None:
    lock = tmp_path / "postmaster.pid"
    with subprocess.Popen(["true"]) as dead:
        assert wait_for(lambda: started_at(dead.pid) is None, 60)
        lock.write_text(f"{dead.pid}\n{tmp_path}\n")
        postgres.clear_stale_lock(lock, seconds=0.01)
        assert not lock.exists()


def test_the_lock_of_a_living_server_stays(tmp_path: Path) -> None:
    lock = tmp_path / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n")
    postgres.clear_stale_lock(lock, seconds=0.01)
    assert lock.exists()


@pytest.mark.parametrize("content", [None, "", "not a pid\n"])
def test_a_lock_that_names_nobody_is_left_to_the_server(
    tmp_path: Path, content: str | None
) -> None:
    lock = tmp_path / "postmaster.pid"
    if content is not None:
        lock.write_text(content)
    postgres.clear_stale_lock(lock, seconds=0.01)
    assert lock.exists() == (content is not None)


def test_anybody_but_root_runs_the_server_as_himself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert postgres.account(tmp_path / "data") == postgres.ServerAccount()


def test_missing_programs_are_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(LocalError, match="apt-get install postgresql"):
        postgres.programs()
