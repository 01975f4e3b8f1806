"""The message of `sensorium demo` when messages stay unfinished."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from streams.local import waiting
from streams.local.home import home_at
from streams.local.supervisor import Running
from streams.local.waiting import waits

METRICS = """\
# TYPE sensorium_stage_job_retries counter
sensorium_stage_job_retries_total{stage="describe",what="model"} 12.0
# TYPE sensorium_stage_jobs_waiting gauge
sensorium_stage_jobs_waiting{stage="describe"} %d.0
"""
WRONG = {"part": "model", "ok": False, "says": "refuses the key: SENSORIUM_OPENAI__API_KEY"}
RIGHT = {"part": "kafka", "ok": True, "says": "fine"}


@contextmanager
def metrics(text: str) -> Iterator[str]:
    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    server = HTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def stage(url: str, state: str = "running") -> Running:
    return Running(
        name="describe", role="stream describe", pid=1, started="", port=1, url=url,
        state=state, starts=1, fingerprint="",
    )  # fmt: skip


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def says(*parts: dict[str, Any]) -> None:
        program = f"print({json.dumps(json.dumps({'parts': parts}))})"
        run = subprocess.run

        def instead(argv: list[str], **more: Any) -> Any:
            return run([sys.executable, "-c", program], **more)

        monkeypatch.setattr(waiting.subprocess, "run", instead)

    return says


@pytest.mark.parametrize(
    ("unfinished", "expected"),
    [
        (
            3,
            [
                "describe waits for the model (SENSORIUM_OPENAI__BASE_URL, SENSORIUM_OPENAI__API_KEY): "
                "3 unfinished jobs, postponed 12 times",
                "sensorium doctor: model: refuses the key: SENSORIUM_OPENAI__API_KEY",
            ],
        ),
        (0, ["sensorium doctor: model: refuses the key: SENSORIUM_OPENAI__API_KEY"]),
    ],
)
def test_the_stage_that_waits_is_named_with_what_it_waits_for_and_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    doctor: Callable[..., None],
    unfinished: int,
    expected: list[str],
) -> None:
    doctor(RIGHT, WRONG)
    with metrics(METRICS % unfinished) as url:
        monkeypatch.setattr(waiting, "status", lambda home: [stage(url)])
        assert waits(home_at(tmp_path), Settings()) == expected


def test_a_stage_that_does_not_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctor: Callable[..., None]
) -> None:
    doctor(RIGHT)
    monkeypatch.setattr(waiting, "status", lambda home: [stage("http://127.0.0.1:1", "dead")])
    (line,) = waits(home_at(tmp_path), Settings())
    assert line.startswith("describe is dead, not running: see the end of ")


def test_where_nothing_is_wrong_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctor: Callable[..., None]
) -> None:
    doctor(RIGHT)
    monkeypatch.setattr(waiting, "status", lambda home: [stage("http://127.0.0.1:1")])
    (line,) = waits(home_at(tmp_path), Settings())
    assert line.startswith("no stage reports trouble")
