"""Ends the transaction of a command that died, so that readers of live topics continue at once.

A command starts `python -m streams.repair.fencer` and writes to its standard input
which transactional id to watch. When that input ends, the command is dead. Without the
fencer, the transaction would stay open until the broker's time-out.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from schemas.settings import Kafka, Secret
from streams.lanes.transactions import fence

FENCE_SECONDS = 30.0
_PROGRAM = (sys.executable, "-m", "streams.repair.fencer")


class _Watched(msgspec.Struct):
    kafka: Kafka
    transactional_id: str


@contextmanager
def fenced_on_death(kafka: Kafka, transactional_id: str) -> Iterator[None]:
    """Watches from another process, while the block runs, whether this process is alive.

    The watcher has its own session, so Ctrl-C does not reach it.
    """
    watcher = subprocess.Popen(
        _PROGRAM,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert watcher.stdin is not None
    watched = _Watched(kafka, transactional_id)
    watcher.stdin.write(msgspec.json.encode(watched, enc_hook=str) + b"\n")
    watcher.stdin.flush()
    try:
        yield
    finally:  # after an exception this process lives and aborts its transaction itself
        watcher.kill()
        watcher.stdin.close()
        watcher.wait()


def main() -> None:
    """Waits until the command has died, and then ends its transaction.

    A command that finishes normally kills this process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first = sys.stdin.buffer.readline()
    watched = msgspec.json.decode(first, type=_Watched, dec_hook=lambda kind, value: Secret(value))
    sys.stdin.buffer.read()
    fence(watched.kafka, watched.transactional_id, FENCE_SECONDS)


if __name__ == "__main__":
    main()
