"""Removes rights from the process that decodes hostile bytes; see docs/security.md.

There are two steps. The worker calls `leave_the_system` once, before any hostile bytes
arrive. Each of its children calls `give_up_the_rest` before it reads its one file.
Every part is best effort, because kernels, containers and systems differ. `probe` tries
what is still possible; its result appears in the log and in `sensorium doctor`.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from connectors.media import seccomp

HOLDS = (
    "no_files",
    "no_writing",
    "no_network",
    "no_processes",
    "no_programs",
    "not_root",
    "no_new_privs",
    "empty_environment",
    "cpu_limit",
    "memory_limit",
)
"""The names in the result of `probe`, in this order."""
MEMORY_BYTES = 2 * 1024**3
_NOBODY = 65_534
_LINUX = sys.platform == "linux"
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = 38, 39
_CAPABILITY_VERSION_3 = 0x20080522
_MOST_CPU_SECONDS = 3600
_libc = ctypes.CDLL(None, use_errno=True)


def leave_the_system() -> bool:
    """Gives up environment, folder, network, user and rights.

    Returns True if the process is in a network namespace of its own. Everything that a
    decoder imports must have been imported before.
    """
    os.environ.clear()
    # Without root, a user namespace gives the right to create the other namespaces, if
    # the kernel permits it.
    own = _CLONE_NEWNET | _CLONE_NEWIPC | (0 if os.geteuid() == 0 else _CLONE_NEWUSER)
    alone = _unshare(own)
    _enter_empty_folder()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _drop_rights()
    if _LINUX:
        _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return alone


def give_up_the_rest(answer: int, cpu_seconds: int) -> None:
    """Keeps only memory, some CPU time and one descriptor. Runs in the child for one file."""
    if _LINUX:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    most_open = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(0, answer)
    os.closerange(answer + 1, min(most_open, 65_536) if most_open > 0 else 65_536)
    _limit(resource.RLIMIT_NOFILE, answer + 1)
    # SIGXCPU at the soft limit, SIGKILL after it.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    with contextlib.suppress(OSError):
        seccomp.confine()


def probe() -> dict[str, bool]:
    """Tries what hostile code would try. True means that it was prevented."""
    places = ("/", "/etc/passwd", "/proc/self/environ", "/proc/1/status", ".")
    found = {
        "no_files": not any(_succeeds(os.open, place, os.O_RDONLY) for place in places),
        "no_writing": not any(_succeeds(_write_a_byte, at) for at in ("/tmp", "/dev/shm", ".")),
        "no_network": not any(_succeeds(_open_socket, family) for family in socket.AddressFamily),
        "no_processes": not _succeeds(_fork),
        "no_programs": not _programs_can_start(),
        "not_root": 0 not in (os.getuid(), os.geteuid(), os.getgid(), os.getegid()),
        "no_new_privs": _LINUX and _libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
        "empty_environment": not os.environ,
        "cpu_limit": 0 < resource.getrlimit(resource.RLIMIT_CPU)[0] <= _MOST_CPU_SECONDS,
        "memory_limit": 0 < resource.getrlimit(resource.RLIMIT_AS)[0] <= MEMORY_BYTES,
    }
    return {name: found[name] for name in HOLDS}


def _enter_empty_folder() -> None:
    """Enters an empty folder and removes it, so that nothing can be created in it.

    The folder also becomes the root, where that is permitted.
    """
    with contextlib.suppress(OSError):
        folder = Path(tempfile.mkdtemp(prefix="sensorium-decoder-"))
        above = os.open(folder.parent, os.O_RDONLY)
        os.chdir(folder)
        with contextlib.suppress(OSError):
            os.chroot(".")
        os.rmdir(folder.name, dir_fd=above)
        os.close(above)


def _unshare(flags: int) -> bool:
    return _LINUX and _libc.unshare(flags) == 0


def _drop_rights() -> None:
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
    if _LINUX:  # the capabilities that a user namespace gave
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        _libc.capset(header, (ctypes.c_uint32 * 6)())


def _limit(what: int, most: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(what, (most, most))


def _succeeds(call: Callable[..., object], *arguments: object) -> bool:
    try:
        call(*arguments)
    except OSError:
        return False
    return True


def _write_a_byte(folder: str) -> None:
    descriptor = os.open(f"{folder}/sensorium-probe", os.O_CREAT | os.O_WRONLY, 0o600)
    os.unlink(f"{folder}/sensorium-probe")  # noqa: PTH108
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.write(descriptor, b"x")


def _open_socket(family: int) -> None:
    socket.socket(family, socket.SOCK_DGRAM).close()


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _programs_can_start() -> bool:
    """Tries to execute a program that does not exist.

    Only a seccomp filter refuses that with a permission error.
    """
    try:
        os.execv("/nonexistent", ["nonexistent"])
    except PermissionError:
        return False
    except OSError:
        return os.access("/bin/sh", os.X_OK)
