"""Reads a request's body within bounds: of one request and of all together, in size and in time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from connectors.webhooks.answers import Problem
from schemas import metrics

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Disconnected(Exception):
    """The client went away: there is nobody to answer."""


class Budget:
    """Body bytes of all requests that are read and not yet answered. Beyond the bound: 503, whatever the tenant."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0

    @contextmanager
    def one_request(self) -> Iterator["Share"]:
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.held
            metrics.RECEIVER_PENDING_BYTES.set(self.held)

    def take(self, size: int) -> None:
        if self.held + size > self._max_bytes:
            raise Problem(503, "Busy", "too many bytes in flight", {"retry-after": "1"})
        self.held += size


class Share:
    """What one request holds of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0

    def grow(self, size: int) -> None:
        self._budget.take(size)
        self.held += size


async def read_body(receive: Receive, headers: Mapping[str, str], share: Share, *, max_bytes: int, seconds: float) -> bytes:
    """The exact bytes. Raises Problem 415, 413, 408 or 503, or Disconnected."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise Problem(415, "Unsupported Content-Encoding", "send the body as it is")
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > max_bytes:
        raise Problem(413, "Body too large", f"at most {max_bytes} bytes")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > max_bytes:
                    raise Problem(413, "Body too large", f"at most {max_bytes} bytes")
                if chunk:
                    share.grow(len(chunk))
                    chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks) if len(chunks) != 1 else chunks[0]
    except TimeoutError:
        raise Problem(408, "Request Timeout", f"the body must come within {seconds:g} s") from None
