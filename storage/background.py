"""Background tasks of a role, none of which may end unnoticed."""

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
    """A background task returned, although it has to run as long as its role."""


@asynccontextmanager
async def alongside(**loops: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Runs the loops while the block runs, and cancels them at its end.

    A loop that ends, with or without an exception, cancels the block. The `async with`
    then raises the loop's exception, or TaskEnded, so a role whose background work has
    ended also ends.
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


async def retry_forever(
    attempt: Callable[[], Awaitable[None]],
    failed: Callable[[Exception], None],
    worked: Callable[[], float],
) -> None:
    """Calls `attempt` until cancelled, whatever it raises; passes each exception to `failed`.

    The pause between two attempts doubles up to LONGEST_BACK_OFF_SECONDS. It is short
    again after an attempt during which `worked`, the time of the last success, changed.
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
