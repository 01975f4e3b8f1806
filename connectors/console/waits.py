"""A request that waits: it looks again when something was written, until it has what it wants."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from fastapi import Request

from connectors.console.changes import Changes, Waiter


class Waitable(Protocol):
    """What was found.

    `again_seconds`: look again so soon, whether or not something is written.
    """

    @property
    def waits(self) -> bool: ...
    @property
    def again_seconds(self) -> float | None: ...


Found = TypeVar("Found", bound=Waitable)


async def until_found(
    request: Request,
    changes: Changes,
    waiter: Waiter,
    look: Callable[[], Awaitable[Found]],
    seconds: float,
) -> Found | None:
    """The last look: one that waits no more, or what there is when the time or the role ends.

    None when the client left. Raises Unavailable and Busy where too many wait.
    """
    began = time.monotonic()
    with waiter:
        gone = asyncio.create_task(_client_leaves(request))
        gone.add_done_callback(lambda _: waiter.wake())
        try:
            found = await look()
            while found.waits and not changes.ended and not gone.done():
                left = began + seconds - time.monotonic()
                if left <= 0:
                    break
                await waiter.wait(
                    left if found.again_seconds is None else min(left, found.again_seconds)
                )
                if not gone.done():
                    found = await look()
            return None if gone.done() else found
        finally:
            gone.cancel()
            request.state.waited = time.monotonic() - began


async def _client_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
