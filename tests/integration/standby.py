"""A primary and an asynchronous standby, run as the product runs PostgreSQL.

The standby can be cut off, and promoted.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.settings import Postgres, Secret
from streams.local.postgres import account, prepare, programs
from streams.local.processes import wait_for
from tests.integration.receivers import unused_port

PASSWORD = "standby"
READY_SECONDS = 90.0


class Pair:
    """Two servers. `settings` name both, so that clients use the one that accepts writes."""

    def __init__(self, folder: Path) -> None:
        self.ports = [unused_port(), unused_port()]
        self._data = [folder / "primary", folder / "standby"]
        self._servers: list[subprocess.Popen[bytes]] = []
        self.settings = Postgres(dsn=Secret(_dsn(self.ports)))

    def start(self) -> None:
        command = prepare(self._data[0], port=self.ports[0], password=PASSWORD, say=print)
        self._commands = [command, [*command[:-2], str(self._data[1]), str(self.ports[1])]]
        self._run(command, 0)
        owner = account(self._data[0])
        subprocess.run(
            [
                *owner.prefix,
                str(programs() / "pg_basebackup"),
                *("-h", "127.0.0.1", "-p", str(self.ports[0]), "-U", "sensorium"),
                *("-D", str(self._data[1]), "-R", "-X", "stream", "-c", "fast"),
            ],
            env={**os.environ, "PGPASSWORD": PASSWORD},
            cwd="/",
            check=True,
            capture_output=True,
            user=owner.uid,
            group=owner.gid,
            extra_groups=None if owner.uid is None else [],
        )
        self._run(self._commands[1], 1)

    def primary(self) -> Postgres:
        return Postgres(dsn=Secret(_dsn(self.ports[:1])))

    def standby_dsn(self) -> str:
        return _dsn(self.ports[1:])

    def kill_primary(self) -> None:
        self._servers[0].kill()
        self._servers[0].wait(60)

    def demote_primary(self) -> None:
        """Ends the primary, and starts it as a standby of the other."""
        self._servers[0].send_signal(signal.SIGINT)
        self._servers[0].wait(60)
        (self._data[0] / "postgresql.auto.conf").write_text(
            f"primary_conninfo = '{self.standby_dsn()}'\n"
        )
        signal_file = self._data[0] / "standby.signal"
        signal_file.touch()
        if (owner := account(self._data[0])).uid is not None:
            os.chown(signal_file, owner.uid, owner.gid or 0)
        self._run(self._commands[0], 0)

    def end(self) -> None:
        for server in self._servers:
            if server.poll() is None:
                server.send_signal(signal.SIGINT)
                server.wait(60)

    def _run(self, command: list[str], nth: int) -> None:
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._servers[nth : nth + 1] = [server]
        ready = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p"]
        assert wait_for(
            lambda: subprocess.run([*ready, str(self.ports[nth])], check=False).returncode == 0,
            READY_SECONDS,
        )


def _dsn(ports: list[int]) -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://sensorium:{PASSWORD}@{hosts}/sensorium"


@contextmanager
def primary_and_standby() -> Iterator[Pair]:
    folder = Path(tempfile.mkdtemp(prefix="sensorium-standby-"))
    folder.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    if (owner := account(folder / "primary")).uid is not None:
        os.chown(folder, owner.uid, owner.gid or 0)
    pair = Pair(folder)
    try:
        pair.start()
        yield pair
    finally:
        pair.end()
        shutil.rmtree(folder)
