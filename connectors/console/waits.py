"""Lets a request wait: it looks again after each change until it has found what it wants."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from fastapi import Request

from connectors.console.changes import Changes, Waiter
from storage.waiting import Deadline


class Waitable(Protocol):
    """The result of one look.

    `waits` is true while the request is not satisfied. `again_seconds` is how soon to
    look again even if nothing is written.
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
    """Returns the first result that satisfies the request, or the last one when the
    time or the role ends.

    Returns None if the client disconnected. Raises Unavailable and Busy if too many
    requests wait.
    """
    began, deadline = time.monotonic(), Deadline(seconds)
    with waiter:
        gone = asyncio.create_task(_client_leaves(request))
        gone.add_done_callback(lambda _: waiter.wake())
        try:
            found = await look()
            while found.waits and not changes.ended and not gone.done():
                if deadline.has_passed:
                    break
                left, again = deadline.left, found.again_seconds
                await waiter.wait(left if again is None else min(left, again))
                if not gone.done():
                    found = await look()
            return None if gone.done() else found
        finally:
            gone.cancel()
            request.state.waited = time.monotonic() - began


async def _client_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
