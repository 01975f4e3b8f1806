"""Waits for a condition, never for a fixed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]],
    seconds: float = 60.0,
    what: str = "",
) -> float:
    """Waits until the condition holds, and returns the seconds that took.

    Fails if it takes much longer than on a slow machine.
    """
    began = time.monotonic()
    while True:
        held = condition()
        if await held if inspect.isawaitable(held) else held:
            return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what or condition}")
        await asyncio.sleep(0.02)
