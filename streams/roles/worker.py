"""The child of the role `stream`: one Faust app, one stage.

Started as `python -m streams.roles.worker STAGE PIPE_FD PARENT_PID MEMORY_FD KILLERS`.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import uvloop

from schemas.pipeline import STAGES
from schemas.settings import Settings
from streams.lanes.app import LaneApp
from streams.lanes.readiness import status
from streams.roles.collector import collect_rarely
from streams.roles.logs import configure_logs
from streams.roles.minute_writer import start_minutes
from streams.roles.operations import start_operations
from streams.roles.parentage import die_with_parent
from streams.settings import read_settings

BEAT_SECONDS = 1.0


class ToParent:
    """The pipe to the parent.

    It carries our transactional ids, and every second a heartbeat with our readiness.
    """

    def __init__(self, pipe: int) -> None:
        os.set_inheritable(pipe, False)
        self._pipe = pipe
        self._lock = threading.Lock()
        self.is_ready: Callable[[], bool] = lambda: False

    def owned(self, transactional_ids: list[str]) -> None:
        self._send({"at": time.monotonic(), "transactional_ids": transactional_ids})

    def beat(self) -> None:
        """Sends heartbeats until the process ends.

        Ends the process if the parent cannot be reached, because not every system
        signals the death of a parent.

        A parent without heartbeats fences nothing, so a stopped heartbeat must not go unnoticed.
        """
        while True:
            try:
                self._send({"at": time.monotonic(), "ready": self._is_ready_now()})
            except OSError:
                os._exit(1)
            time.sleep(BEAT_SECONDS)

    def _is_ready_now(self) -> bool:
        """True if the worker is ready.

        The state changes in another thread meanwhile, and an error must not end the
        heartbeat.
        """
        try:
            return self.is_ready()
        except Exception:
            return False

    def _send(self, report: dict[str, object]) -> None:
        with self._lock:  # a long line is not written in one piece
            os.write(self._pipe, json.dumps(report).encode() + b"\n")


def main(stage: str, pipe: int, parent: int, memory: int, killers: dict[str, list[int]]) -> None:
    die_with_parent(parent)
    to_parent = ToParent(pipe)
    threading.Thread(target=to_parent.beat, name="beat", daemon=True).start()
    if stage not in STAGES:
        raise SystemExit(f"{stage} is not a stage; the stages are {', '.join(STAGES)}")
    settings = read_settings()
    configure_logs(settings.log, stage)
    uvloop.install()
    # Import only this stage's module: the clients of others would make every start slower, and a
    # failover waits for a start.
    create_app: Callable[[Settings], LaneApp] = import_module(f"streams.apps.{stage}").create_app
    app = create_app(settings)
    lanes = app.lanes
    assert lanes is not None
    lanes.owned = to_parent.owned
    to_parent.is_ready = lambda: lanes.ready
    app.in_flight.share(
        memory, {int(partition): frozenset(offsets) for partition, offsets in killers.items()}
    )
    start_operations(
        settings.worker.metrics_host,
        settings.worker.metrics_port,
        lambda: lanes.ready,
        lanes.refresh_metrics,
        lambda: status(app, lanes),
    )
    start_minutes(settings, stage, lanes.refresh_metrics)
    import faust

    worker = faust.Worker(
        app,
        loglevel="info",
        quiet=True,
        redirect_stdouts=False,
        override_logging=False,
        workdir=str(Path.cwd()),
    )
    worker.spinner = None  # it would write terminal codes into the log
    collect_rarely(10_000, 20, 20)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), json.loads(sys.argv[5]))
