"""Background tasks of a role: none of them may end without anybody noticing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from storage.errors import StorageError
from storage.waiting import BackOff

log = structlog.get_logger()
FIRST_BACK_OFF_SECONDS = 0.1
LONGEST_BACK_OFF_SECONDS = 10.0


class TaskEnded(StorageError):
    """A background task returned although it is meant to run as long as its role."""


@asynccontextmanager
async def alongside(**loops: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Runs the loops while the block runs, and cancels them when it is left.

    A loop that ends, with or without an exception, cancels the
    block, and what it raised (or TaskEnded) comes out of the
    `async with`. So a role whose background work is over ends too.
    """

    async def run(name: str, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except Exception as error:
            log.error("background_task_failed", task=name, error=type(error).__name__)
            raise
        raise TaskEnded(f"the background task {name} ended")

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(name, loop), name=name) for name, loop in loops.items()]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def again_and_again(
    attempt: Callable[[], Awaitable[None]],
    failed: Callable[[Exception], None],
    worked: Callable[[], float],
) -> None:
    """Calls `attempt` until it is cancelled, whatever
    it raises; `failed` is told each exception.

    The pause between two attempts doubles up to LONGEST_BACK_OFF_SECONDS. It is short
    again once `worked` (the moment of the last success) has changed during an attempt.
    """
    back_off = BackOff(FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS)
    while True:
        before = worked()
        try:
            await attempt()
        except Exception as error:
            failed(error)
        if worked() != before:
            back_off.reset()
        await asyncio.sleep(back_off.pause())
