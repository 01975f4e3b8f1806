"""The receiver's answers: JSON, problem details (RFC 9457) and plain text."""

import json
from collections.abc import Mapping
from typing import Any

from connectors.errors import ConnectorsError
from schemas.problems import MEDIA_TYPE, TITLES, problem_document
from schemas.reasons import DeliveryReason

_STATUS_LINES = {
    status: f"HTTP/1.1 {status} {title}\r\n".encode() for status, title in TITLES.items()
}
CLOSE = b"connection: close\r\n"


class HttpReply:
    """An answer without the lines that depend on the time and the connection.

    With `ends_connection`, the connection cannot be used after it.
    """

    __slots__ = ("body", "ends_connection", "fields", "status", "tail")

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] = {},
        *,
        ends_connection: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.fields = {
            "content-type": content_type,
            "content-length": str(len(body)),
            **headers,
        }
        self.ends_connection = ends_connection
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.fields.items())
        self.tail = lines.encode() + b"\r\n"

    def wire(self, date: bytes, *, is_head: bool, closes: bool) -> bytes:
        """The bytes to send. `date` is a whole header line, or empty."""
        return b"".join(
            (
                _STATUS_LINES[self.status],
                date,
                CLOSE if closes else b"",
                self.tail,
                b"" if is_head else self.body,
            )
        )


class Problem(ConnectorsError):
    """An error answer. `reason` is only for the operator's counts, and not part of the answer."""

    reason: DeliveryReason | None = None

    def __init__(
        self,
        status: int,
        detail: str = "",
        headers: Mapping[str, str] = {},
        extra: Mapping[str, Any] = {},
    ) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.document = problem_document(status, detail, extra)

    def reply(self, *, ends_connection: bool = False) -> HttpReply:
        return HttpReply(
            self.status,
            json.dumps(self.document).encode(),
            MEDIA_TYPE,
            self.headers,
            ends_connection=ends_connection,
        )


def because(reason: DeliveryReason, problem: Problem) -> Problem:
    """Sets the reason that the operator sees, and returns the problem."""
    problem.reason = reason
    return problem


class Unauthenticated(Problem):
    """The answer to a client that cannot show that the delivery comes from the provider.

    It is the same for an unknown token, a wrong signature and a time outside the
    window, so the client does not learn which. `reason` is for the operator only.
    """

    def __init__(self, reason: DeliveryReason, headers: Mapping[str, str] = {}) -> None:
        super().__init__(401, headers=headers)
        self.reason = reason


def not_stored(detail: str = "not stored: send it again") -> Problem:
    """The answer while Kafka or another server that is needed cannot be reached."""
    return Problem(503, detail, {"retry-after": "1"})


def json_reply(status: int, document: Any) -> HttpReply:
    return HttpReply(status, json.dumps(document).encode(), "application/json")


def text_reply(
    status: int, text: bytes, content_type: str = "text/plain; charset=utf-8"
) -> HttpReply:
    return HttpReply(status, text, content_type)


ACCEPTED_ONE = json_reply(200, {"accepted": 1})
"""The answer to nearly every delivery."""
REFUSALS: Mapping[int, HttpReply] = {
    status: Problem(status, headers={"retry-after": "1"} if status == 503 else {}).reply(
        ends_connection=True
    )
    for status in (400, 408, 431, 503)
}
"""The answers by status that a connection sends by itself before it ends."""
BUG = Problem(500).reply(ends_connection=True)
