"""The interface between a connection and the application that answers its requests."""

from collections.abc import Mapping
from typing import Protocol

from connectors.webhooks.answers import HttpReply
from connectors.webhooks.wheel import NEVER

CLIENT_LEFT = 499
"""The status that is counted for a request whose client left before the answer."""


class Incoming:
    """A request whose head has been read.

    The application answers it once, at any time, with `answer`. It may set `deadline` while
    the connection calls it. When the deadline has passed, the connection calls `Taker.late`.
    """

    __slots__ = (
        "_way_back", "closes", "complete", "deadline", "early", "expects_continue", "headers",
        "is_answered", "method", "path", "taker",
    )  # fmt: skip

    def __init__(
        self, way_back: "WayBack", method: str, path: str, headers: Mapping[str, str]
    ) -> None:
        self._way_back = way_back
        self.method = method
        self.path = path
        self.headers = headers
        self.taker: Taker | None = None
        self.deadline = NEVER
        self.is_answered = False
        self.complete = False
        self.closes = False
        self.expects_continue = False
        self.early: list[bytes] = []

    def answer(self, reply: HttpReply) -> None:
        """Sends the one answer. Does nothing if the client has left."""
        self.is_answered = True
        self.deadline = NEVER
        # The taker refers to this request. Without this, only the garbage collector would
        # free the body.
        self.taker = None
        self._way_back.answered(self, reply)


class WayBack(Protocol):
    """The part of a connection that a request uses to answer."""

    def answered(self, request: Incoming, reply: HttpReply) -> None: ...


class Taker(Protocol):
    """The application's side of one request that its head alone did not answer.

    No method raises.
    """

    def more(self, chunk: bytes) -> None: ...
    def whole(self) -> None:
        """Takes note that the body is complete."""
        ...

    def late(self) -> None:
        """Takes note that the deadline has passed."""
        ...

    def gone(self, status: int = CLIENT_LEFT) -> None:
        """Takes note that the client left, or that the connection answered with `status`."""
        ...


class Application(Protocol):
    """The application of a server. Its methods do not raise.

    `begin` either sets `request.taker` or answers before it returns.
    """

    def begin(self, request: Incoming) -> None: ...
    def refused(self, status: int) -> None:
        """Takes note that a connection answered invalid bytes with `status` by itself."""
        ...
