"""Programs that are fetched or built once per machine, for all clones.

They are in ${XDG_CACHE_HOME:-~/.cache}/sensorium.
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
"""Prints a line of progress for the person who waits."""


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sensorium"


def part(name: str, make: Callable[[Path], None]) -> Path:
    """Returns the folder `<cache>/<name>`, and creates it with `make(folder)` if it is missing.

    It appears atomically: it is made under another name, checked by `make`, and
    renamed. If two clones need the same part, the second one waits for the first.
    """
    folder = cache() / name
    if folder.exists():
        return folder
    cache().mkdir(parents=True, exist_ok=True)
    with locked(cache() / f"{name}.lock"):
        if not folder.exists():
            # Left behind by a killed process.
            for left_behind in cache().glob(f"{name}.unfinished-*"):
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
    """Holds a lock between processes.

    It is released when this process ends, in whatever way.
    """
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def program(name: str, *, install: str) -> str:
    """Returns the path of a program that must be on PATH.

    Raises LocalError, which says what to install.
    """
    path = shutil.which(name)
    if path is None:
        raise LocalError(f"`{name}` is not on PATH: install {install}")
    return path


def run(
    argv: list[str],
    *,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    """Runs the command for at most `seconds` and returns its output.

    Raises LocalError with the last lines of the output if it fails or takes longer.
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
