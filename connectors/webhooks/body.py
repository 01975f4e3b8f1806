"""Reads a request's body within bounds: of one request and of all together, in size and in time."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from connectors.errors import ConnectorsError
from connectors.webhooks.answers import Problem, because
from schemas import metrics

_LENGTH_DIGITS = 20
Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Disconnected(ConnectorsError):
    """The client went away: there is nobody to answer."""


class Budget:
    """Body bytes of all requests that are read and not yet answered. Beyond the bound: 503.

    One owner (a tenant) gets at most half, so that no one of them takes the room of all others.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_by: Counter[str] = Counter()
        self.held = 0
        metrics.RECEIVER_PENDING_BYTES.set_function(lambda: self.held)

    @contextmanager
    def one_request(self, owner: str) -> Iterator["Share"]:
        share = Share(self, owner)
        try:
            yield share
        finally:
            self._give_back(owner, share.held)

    def take(self, owner: str, size: int) -> None:
        if self.held + size > self._max_bytes or self._held_by[owner] + size > self._max_bytes // 2:
            problem = Problem(
                503, "Service Unavailable", "too many bytes in flight", {"retry-after": "1"}
            )
            raise because("no_room", problem)
        self.held += size
        self._held_by[owner] += size

    def _give_back(self, owner: str, size: int) -> None:
        self.held -= size
        self._held_by[owner] -= size
        if not self._held_by[owner]:
            del self._held_by[owner]


class Share:
    """What one request holds of the budget."""

    def __init__(self, budget: Budget, owner: str) -> None:
        self._budget = budget
        self._owner = owner
        self.held = 0

    def grow(self, size: int) -> None:
        self._budget.take(self._owner, size)
        self.held += size


def _is_encoded(headers: Mapping[str, str]) -> bool:
    """Beyond `chunked`, which the server undoes."""
    content, transfer = headers.get("content-encoding", ""), headers.get("transfer-encoding", "")
    return content.strip().lower() not in ("", "identity") or transfer.strip().lower() not in (
        "",
        "chunked",
    )


def _too_large(max_bytes: int) -> Problem:
    return because(
        "body_too_large", Problem(413, "Content Too Large", f"at most {max_bytes} bytes")
    )


async def read_body(
    receive: Receive,
    headers: Mapping[str, str],
    share: Share | None,
    *,
    max_bytes: int,
    seconds: float,
) -> bytes:
    """The exact bytes; without a share they are read within the same bounds and thrown away. Raises Problem 415, 413, 408 or 503, or Disconnected."""
    if _is_encoded(headers):
        problem = Problem(
            415, "Unsupported Media Type", "send the body as it is, without an encoding"
        )
        raise because("body_encoded", problem)
    declared = headers.get("content-length", "")
    if (
        declared.isascii()
        and declared.isdigit()
        and (len(declared) > _LENGTH_DIGITS or int(declared) > max_bytes)
    ):
        raise _too_large(max_bytes)
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
                    raise _too_large(max_bytes)
                if chunk and share is not None:
                    share.grow(len(chunk))
                    chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks) if len(chunks) != 1 else chunks[0]
    except TimeoutError:
        problem = Problem(408, "Request Timeout", f"the body must come within {seconds:g} s")
        raise because("body_too_slow", problem) from None
