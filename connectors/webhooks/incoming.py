"""One request, between its connection and the application that answers it."""

from collections.abc import Mapping
from typing import Protocol

from connectors.webhooks.answers import HttpReply
from connectors.webhooks.wheel import NEVER

CLIENT_LEFT = 499
"""The status that is counted for a request that nobody waits for any more."""


class Incoming:
    """A request whose head has been read.

    The application answers it once, at any time, with `answer`.
    `deadline` is the application's too, which sets it while the
    connection calls it: when it has passed, `Taker.late` is called.
    """

    __slots__ = (
        "_way_back", "closes", "complete", "deadline", "early", "expects_continue", "headers", "is_answered", "method", "path", "taker",
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
        """The one answer. Nothing happens when the client has left."""
        self.is_answered = True
        self.deadline = NEVER
        self.taker = (
            None  # which knows this request: the body would live on until the collector comes
        )
        self._way_back.answered(self, reply)


class WayBack(Protocol):
    """What a request needs of its connection."""

    def answered(self, request: Incoming, reply: HttpReply) -> None: ...


class Taker(Protocol):
    """What the application does with one request that it has not answered by its head.

    None of these raises.
    """

    def more(self, chunk: bytes) -> None: ...
    def whole(self) -> None:
        """The body is complete."""
        ...

    def late(self) -> None:
        """The deadline has passed."""
        ...

    def gone(self, status: int = CLIENT_LEFT) -> None:
        """The client left before the answer, or its connection answered it `status`."""
        ...


class Application(Protocol):
    """Begins each request.

    It sets `request.taker`, or has answered when it returns. Does not raise.
    """

    def begin(self, request: Incoming) -> None: ...
    def refused(self, status: int) -> None:
        """A connection answered by itself what was no request."""
        ...
