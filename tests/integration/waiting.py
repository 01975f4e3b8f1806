"""Waiting for a condition, never for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]],
    seconds: float = 60.0,
    what: str = "",
) -> float:
    """Returns after how many seconds it held. Fails when it does not in time: long after a slow machine would have it."""
    began = time.monotonic()
    while True:
        held = condition()
        if await held if inspect.isawaitable(held) else held:
            return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what or condition}")
        await asyncio.sleep(0.02)
