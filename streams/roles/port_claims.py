"""Keeps a TCP port for the processes of one installation.

HTTP roles bind with SO_REUSEPORT, so that one process can replace another without
refusing a request. But the kernel lets any two processes of one user share a port in
this way, even those of two installations, and then each gets some of the other's
requests. So a process claims a port before it binds it: it holds a shared lock on a
small file that names the installation. Processes of the same installation share the
claim; every other process is refused.
"""

import errno
import fcntl
import hashlib
import os
import socket
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from schemas.topics import Names
from storage.waiting import Deadline
from streams.errors import StreamsError

Installation = frozenset[str]
"""One digest per live secrets key.

Two processes belong together if they share a digest.
"""

_WAIT_SECONDS = 2.0
_POLL_SECONDS = 0.02
_LARGEST_NOTE_BYTES = 65_536


class PortTaken(StreamsError):
    """The port is in use. The text says by what, and is meant for a person."""


def installation_of(namespace: str, secrets_key: str) -> Installation:
    """The digests that all processes of one installation share.

    They share them even while the secrets key is rotated or the topics are replaced.
    """
    pipeline = Names(namespace).pipeline
    keys = filter(None, (key.strip() for key in secrets_key.split(",")))
    return frozenset(
        hashlib.sha256(f"port-claim\0{pipeline}\0{key}".encode()).hexdigest()[:32] for key in keys
    )


class PortClaim:
    """Holds the port until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def claim_port(
    port: int, installation: Iterable[str], *, host: str = "127.0.0.1", ours: bool = False
) -> PortClaim:
    """Claims the port for the installation.

    With `ours` the program that listens there is known to be ours. Raises PortTaken if
    another installation claims the port or another program listens on it.

    1. Try to take the lock exclusively. If that works, no process has a claim: write our
       installation to the file, and check for programs that do not use claims.
    2. Take the lock shared. Between 1 and 2 another process may have written its installation.
    3. Read the file, which must name our installation.
    """
    digests = frozenset(installation)
    descriptor = os.open(
        _file_of(port), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        if _locked(descriptor, fcntl.LOCK_EX):  # 1
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, "\n".join(sorted(digests)).encode(), 0)
            if not ours and not is_free(port, host):
                raise PortTaken(f"another program listens on port {port}")
        deadline = Deadline(_WAIT_SECONDS)
        while not _locked(descriptor, fcntl.LOCK_SH):  # 2
            if deadline.has_passed:
                raise PortTaken(f"another process is claiming port {port}")
            time.sleep(_POLL_SECONDS)
        noted_digests = (
            os.pread(descriptor, _LARGEST_NOTE_BYTES, 0).decode(errors="replace").split("\n")
        )
        if digests.isdisjoint(noted_digests):  # 3
            raise PortTaken(f"port {port} belongs to another installation of Sensorium")
    except BaseException:
        os.close(descriptor)
        raise
    return PortClaim(descriptor)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """True if no program listens on the port, even one that would share it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a connection in TIME_WAIT does not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _file_of(port: int) -> Path:
    """The lock file of a port in this network namespace.

    It is in a folder that only this user can write to. Another user cannot share our
    port, because the kernel refuses SO_REUSEPORT across users.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    parent = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    folder = parent / f"sensorium-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
        raise PortTaken(f"{folder} must be a folder of mode 0700 that belongs to this user")
    return folder / f"{_network()}-{port}"


def _network() -> int:
    """The inode of the network namespace.

    Equal ports of two containers are different ports.
    """
    try:
        return Path("/proc/self/ns/net").stat().st_ino
    except OSError:  # not Linux
        return 0
