import asyncio
import logging
from typing import Any

import pytest

from storage.background import TaskEnded, alongside, retry_forever
from tests.integration.waiting import until


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_background_task_that_raises_ends_what_runs_beside_it() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("over")

    with pytest.raises(RuntimeError, match="over"):
        async with alongside(fine=forever, broken=fails):
            await forever()


async def test_a_background_task_that_returns_ends_what_runs_beside_it() -> None:
    async def returns() -> None:
        await asyncio.sleep(0)

    with pytest.raises(TaskEnded, match="short"):
        async with alongside(short=returns):
            await forever()


async def test_background_tasks_are_cancelled_with_what_runs_beside_them() -> None:
    ended: list[str] = []

    async def noted() -> None:
        try:
            await forever()
        finally:
            ended.append("cancelled")

    async with alongside(noted=noted):
        await asyncio.sleep(0)
    assert ended == ["cancelled"]


async def test_what_runs_beside_background_tasks_raises_its_own_exception() -> None:
    with pytest.raises(KeyError):
        async with alongside(fine=forever):
            raise KeyError("mine")


async def test_an_attempt_is_made_again_whatever_it_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("storage.background.FIRST_BACK_OFF_SECONDS", 0.001)
    errors: list[Exception] = [
        ValueError(),
        OSError(),
        RuntimeError(),
        ExceptionGroup("", [KeyError()]),
    ]
    seen: list[Exception] = []

    async def attempt() -> None:
        if len(seen) < len(errors):
            raise errors[len(seen)]
        await forever()

    task = asyncio.create_task(retry_forever(attempt, seen.append, lambda: 0.0))
    await until(lambda: seen == errors)
    assert not task.done()
    task.cancel()


async def test_the_failure_of_a_background_task_is_logged(caplog: Any) -> None:
    async def fails() -> None:
        raise RuntimeError("over")

    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError):
        async with alongside(broken=fails):
            await forever()
