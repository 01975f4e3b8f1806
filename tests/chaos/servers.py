"""Kafka, Postgres and object store of the run, started as `sensorium up` starts them.

Faults disturb them by their pids.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from schemas.settings import Settings
from streams.local.home import Home, home_at, write_text
from streams.local.lifecycle import down, status, up
from streams.local.processes import Process, send, wait_for
from streams.local.supervisor import declared_in
from streams.local.topology import Declared

BACK_SECONDS = 90.0
STORE_MEGABYTES = 192
_CLONE_NEWNS = 0x00020000


class Servers:
    """The servers, by the names kafka, postgres and objects."""

    def __init__(self, home: Home, settings: Settings, store: Path) -> None:
        self.settings = settings
        self.store = store
        self._home = home
        self._away: dict[str, Declared] = {}

    def kill(self, name: str) -> None:
        """Sends SIGKILL. The supervisor starts the server again after half a second."""
        send(self._process(name), signal.SIGKILL)

    def kill_and_keep_away(self, name: str) -> None:
        """Sends SIGKILL. The server is not started again until `bring_back`."""
        process = self._process(name)
        declared = {one.name: one for one in declared_in(self._home)}
        self._away[name] = declared.pop(name)
        send(process, signal.SIGKILL)
        self._declare(list(declared.values()))
        wait_for(lambda: not process.alive(), 10)

    def bring_back(self, name: str) -> None:
        self._declare([*declared_in(self._home), self._away.pop(name)])
        self.wait_running(name)

    def data(self, name: str) -> Path:
        """The folder in which the server stores its data."""
        return self._home.data / name

    def freeze(self, name: str) -> None:
        send(self._process(name), signal.SIGSTOP)

    def wake(self, name: str) -> None:
        send(self._process(name), signal.SIGCONT)

    def wait_running(self, name: str) -> None:
        assert wait_for(lambda: self._state(name) == "running", BACK_SECONDS), (
            f"{name} did not come back"
        )

    def _declare(self, wanted: list[Declared]) -> None:
        write_text(self._home.declared_file, msgspec.json.encode(wanted).decode())

    def _state(self, name: str) -> str:
        return next((row.state for row in status(self._home) if row.name == name), "gone")

    def _process(self, name: str) -> Process:
        row = next(row for row in status(self._home) if row.name == name)
        assert row.pid is not None, f"{name} does not run"
        return Process(row.pid, row.started)


@contextmanager
def servers() -> Iterator[Servers]:
    """Runs the servers on free ports, under a folder of their own, until the end of the block.

    They also end if this process is killed.
    """
    folder = Path(tempfile.mkdtemp(prefix="sensorium-chaos-"))
    folder.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    home = home_at(folder)
    store = home.data / "objects"
    mounted = _mount_small(store)
    try:
        settings = up(
            home,
            {},
            say=lambda text: None,
            only_servers=True,
            ports_anywhere=True,
            owner=os.getpid(),
        ).settings
        yield Servers(home, settings, store)
    finally:
        down(home, say=lambda text: None)
        if mounted:
            subprocess.run(["umount", str(store)], check=True)
        shutil.rmtree(folder)


def _mount_small(folder: Path) -> bool:
    """Mounts a file system of its own for the store, small enough to fill.

    Only root may do that, so others cannot run `disk_full`. It is in a mount namespace
    of this process, which disappears with the last of our processes.
    """
    folder.mkdir(parents=True)
    if (
        ctypes.CDLL(None).unshare(_CLONE_NEWNS) != 0
        or subprocess.run(
            ["mount", "--make-rprivate", "/"], capture_output=True, check=False
        ).returncode
    ):
        return False
    words = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={STORE_MEGABYTES}m",
        "sensorium-chaos",
        str(folder),
    ]
    return (
        os.geteuid() == 0
        and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


def fill(folder: Path) -> Path | None:
    """Writes a file that leaves no room beside it.

    Returns None if the folder is not a file system of its own.
    """
    if not os.path.ismount(folder):
        return None
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):  # until there is no room
        while True:
            file.write(bytes(65_536))
    return ballast
