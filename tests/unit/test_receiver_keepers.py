"""The parent of several receivers, and the limit of open files."""

import asyncio
import resource
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from schemas.settings import Settings
from storage.accepting import MOST_PER_TURN
from streams.roles import http, receive_processes
from tests.integration.waiting import until


async def test_a_receiver_that_cannot_be_started_is_tried_again_and_the_others_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = asyncio.create_subprocess_exec, 0

    async def spawn(*command: str, **options: Any) -> asyncio.subprocess.Process:
        nonlocal failed
        if failed < 2:
            failed += 1
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return await real(sys.executable, "-c", "import time; time.sleep(60)", **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawn)
    monkeypatch.setattr(receive_processes, "FIRST_BACK_OFF_SECONDS", 0.01)
    ending = asyncio.Event()
    keeper = receive_processes._Keeper(Settings(), tmp_path, 0, ending)
    with capture_logs() as logs:
        running = asyncio.create_task(keeper.run())
        await until(lambda: any(each["event"] == "receiver_started" for each in logs))
        ending.set()
        await running
    assert [each["event"] for each in logs] == ["receiver_not_started"] * 2 + ["receiver_started"]


async def test_the_end_does_not_wait_for_a_receiver_that_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def spawn(*command: str, **options: Any) -> asyncio.subprocess.Process:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawn)
    monkeypatch.setattr(receive_processes, "FIRST_BACK_OFF_SECONDS", 60.0)
    ending = asyncio.Event()
    running = asyncio.create_task(receive_processes._Keeper(Settings(), tmp_path, 0, ending).run())
    began = time.monotonic()
    await asyncio.sleep(0)
    ending.set()
    await running
    assert time.monotonic() - began < 30


def test_the_connections_of_one_turn_leave_the_files_of_kafka_and_postgres_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is accepted before it is refused."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: None)
    assert http.connections_allowed() + MOST_PER_TURN <= 4096 - 128
