"""Starts processes, recognises them after a restart of their parent, and ends them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from storage.waiting import Deadline
from streams.errors import StreamsError

MARK = "STACK__PROCESS"
"""The environment variable that marks our processes, as `<home>:<name>`; children inherit it."""

_LOG_BYTES = 20_000_000
"""A larger log is renamed at the next start and replaces the previous renamed one."""


class LocalError(StreamsError):
    """Something on this machine prevents the work.

    The text says what a person can do about it.
    """


class Process(NamedTuple):
    """A process by pid and the kernel's start time, because a pid alone may have been reused."""

    pid: int
    started: str

    def alive(self) -> bool:
        return started_at(self.pid) == self.started


def started_at(pid: int) -> str | None:
    """The kernel's start time of a running process, or None if it has ended.

    It is in clock ticks since boot. A zombie has ended, although `kill(pid, 0)`
    succeeds until its parent reaps it.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def start(
    argv: Sequence[str], *, log: Path, environment: Mapping[str, str], mark: str, folder: Path
) -> Process:
    """Starts a process in a session of its own and appends its output to `log`.

    Its environment is exactly the given one plus the mark.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**environment, MARK: mark},
                cwd=folder,
                umask=0o077,  # its files contain messages, media or secrets
            )
        except OSError as error:
            raise LocalError(f"cannot start {argv[0]}: {error.strerror}") from None
    started = started_at(child.pid)
    # The process is waited for by its pid, so Popen must not warn that it still runs.
    child.returncode = 0
    return Process(child.pid, started or "ended at once")


def reap() -> None:
    """Reaps every ended child, so that none stays a zombie."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def send(process: Process, number: signal.Signals) -> None:
    """Sends a signal to a process if it is still the one that was started."""
    if process.alive():
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def wait_for(condition: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
    """Returns true as soon as the condition holds, or false if it does not within `seconds`."""
    deadline = Deadline(seconds)
    while not condition():
        if deadline.has_passed:
            return False
        time.sleep(every)
    return True


def end(processes: Mapping[Process, signal.Signals], seconds: float) -> None:
    """Ends all of them at the same time.

    Each gets its own signal, and SIGKILL after `seconds`.
    """
    for process, number in processes.items():
        send(process, number)
    if not wait_for(lambda: none_alive(processes), seconds):
        for process in processes:
            send(process, signal.SIGKILL)
        wait_for(lambda: none_alive(processes), 5)


def none_alive(processes: Iterable[Process]) -> bool:
    return not any(process.alive() for process in processes)


def marked(prefix: str) -> Iterator[tuple[Process, str]]:
    """Yields running processes whose mark begins with `prefix`, and the rest of their mark.

    Children have the mark too.
    """
    beginning = f"{MARK}={prefix}".encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended, or belongs to another user
            process = Process(int(folder.name), started_at(int(folder.name)) or "")
            for entry in environment:
                if entry.startswith(beginning) and process.started:
                    yield process, entry.removeprefix(beginning).decode(errors="replace")


def descends_from(pid: int, ancestors: Set[int]) -> bool:
    """True if the process is one of the ancestors or a descendant of one."""
    while pid > 1:
        if pid in ancestors:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, UnicodeDecodeError):
            return False
    return False
