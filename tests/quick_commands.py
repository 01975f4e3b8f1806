"""`sensorium` commands for tests: each runs in a process of its own, which begins with all modules imported.

A new interpreter takes more than a second of a core to import them, and the acceptance tests run hundreds of commands. Here
a server process imports them once and forks for each command, which has its own environment, output and exit code.
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from subprocess import CompletedProcess, TimeoutExpired

from streams.commands.main import COMMANDS, main

_FORKING = get_context("forkserver")
_FORKING.set_forkserver_preload(
    [__name__, *sorted({place.partition(":")[0] for place in COMMANDS.values()})]
)


def run_quickly(
    words: Sequence[str], environment: Mapping[str, str], seconds: float = 60.0
) -> "CompletedProcess[str]":
    """Runs a command with this environment and no other. Raises TimeoutExpired."""
    receiving, sending = _FORKING.Pipe(duplex=False)
    process = _FORKING.Process(target=_work, args=(list(words), dict(environment), sending))
    process.start()
    sending.close()
    try:
        if not receiving.poll(seconds):
            raise TimeoutExpired(list(words), seconds)
        code, output, errors = receiving.recv()
    except EOFError:  # it was killed
        process.join()
        code, output, errors = process.exitcode or 0, "", ""
    finally:
        process.kill()
        process.join()
        process.close()
        receiving.close()
    return CompletedProcess(list(words), code, output, errors)


def _work(words: list[str], environment: dict[str, str], sending: Connection) -> None:
    os.environ.clear()
    os.environ.update(environment)
    files = [os.memfd_create(name) for name in ("stdout", "stderr")]
    for file, descriptor in zip(files, (1, 2), strict=True):
        os.dup2(file, descriptor)
    code = _exit_code(words)
    sys.stdout.flush()
    sys.stderr.flush()
    sending.send((code, *(_text(file) for file in files)))


def _exit_code(words: list[str]) -> int:
    try:
        main(words, prog_name="sensorium")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _text(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    with open(file, encoding="utf-8") as reading:
        return reading.read()


def run_anew(
    words: Sequence[str], environment: Mapping[str, str], seconds: float = 60.0
) -> "CompletedProcess[str]":
    """Runs a command in an interpreter of its own, as a user does. Raises TimeoutExpired."""
    return subprocess.run(
        [sys.executable, "-m", "streams.commands.main", *words],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=seconds,
    )
