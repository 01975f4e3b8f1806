"""The child of the role `stream`: one Faust app, one stage. `python -m streams.roles.worker STAGE PIPE_FD HAND_FD KILLERS`."""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import uvloop

from schemas.settings import Settings
from schemas.topics import STAGES
from streams.lanes.app import LaneApp
from streams.roles.logs import configure_logs
from streams.roles.operations import start_operations
from streams.settings import read_settings

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """A worker without its parent would be one too many as soon as the parent is started again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(stage: str, pipe: int, hand: int, killers: dict[str, list[int]]) -> None:
    die_with_parent()
    if stage not in STAGES:
        raise SystemExit(f"{stage} is no stage; stages are {', '.join(STAGES)}")
    settings = read_settings()
    configure_logs(settings.log, stage)
    uvloop.install()
    # Only this stage's module: the others' clients would make every start slower, and starts are what a failover waits for.
    create_app: Callable[[Settings], LaneApp] = import_module(f"streams.apps.{stage}").create_app
    app = create_app(settings)
    lanes = app.lanes
    assert lanes is not None

    def tell_parent(transactional_ids: list[str]) -> None:
        os.write(pipe, json.dumps(transactional_ids).encode() + b"\n")

    lanes.owned = tell_parent
    app.hand.share(hand, {int(partition): frozenset(offsets) for partition, offsets in killers.items()})
    start_operations(settings.worker.metrics_host, settings.worker.metrics_port, lambda: lanes.ready, lanes.refresh_metrics)
    import faust

    faust.Worker(app, loglevel="info", quiet=True, redirect_stdouts=False, override_logging=False, workdir=str(Path.cwd())).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
