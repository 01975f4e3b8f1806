"""Programs that are fetched or built once a machine, for every clone, under
${XDG_CACHE_HOME:-~/.cache}/sensorium.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from streams.local.processes import LocalError

Say = Callable[[str], None]
"""Takes a line of progress for the person who waits."""


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sensorium"


def part(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `<cache>/<name>`, made by `make(folder)` if it is not there yet.

    It appears whole or not at all: it is made under another name,
    checked by `make`, and renamed. Two clones that want the same
    part do not make it twice: the second waits for the first.
    """
    folder = cache() / name
    if folder.exists():
        return folder
    cache().mkdir(parents=True, exist_ok=True)
    with locked(cache() / f"{name}.lock"):
        if not folder.exists():
            for left_behind in cache().glob(f"{name}.unfinished-*"):  # by one that was killed
                shutil.rmtree(left_behind, ignore_errors=True)
            unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.unfinished-", dir=cache()))
            try:
                make(unfinished)
                unfinished.chmod(0o755)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock between processes; it is free again when this process ends, however it ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def program(name: str, *, install: str) -> str:
    """The path of a program that must be on PATH.

    Raises LocalError that says what to install.
    """
    found = shutil.which(name)
    if found is None:
        raise LocalError(f"`{name}` is not on PATH: install {install}")
    return found


def run(
    argv: list[str],
    *,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    """Runs to the end, at most so many seconds, and returns what was printed.

    Raises LocalError with the last lines of it when it fails, or when the time is over.
    """
    try:
        done = subprocess.run(
            argv,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise LocalError(f"{' '.join(argv[:3])} … took over {seconds:g} s") from None
    if done.returncode:
        raise LocalError(
            f"{' '.join(argv[:3])} … failed with {done.returncode}:\n{done.stdout[-2000:]}"
        )
    return done.stdout
