"""The receiver's answers: JSON, problem details (RFC 9457) and plain text."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from connectors.errors import ConnectorsError
from schemas.reasons import DeliveryReason

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_STATUS_LINES[413] = b"HTTP/1.1 413 Content Too Large\r\n"
_STATUS_LINES[422] = b"HTTP/1.1 422 Unprocessable Content\r\n"
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
        title: str,
        detail: str = "",
        headers: Mapping[str, str] = {},
        extra: Mapping[str, Any] = {},
    ) -> None:
        super().__init__(status, title)
        self.status = status
        self.headers = headers
        self.document = (
            {"type": "about:blank", "title": title, "status": status}
            | ({"detail": detail} if detail else {})
            | dict(extra)
        )

    def reply(self, *, ends_connection: bool = False) -> HttpReply:
        return HttpReply(
            self.status,
            json.dumps(self.document).encode(),
            "application/problem+json",
            self.headers,
            ends_connection=ends_connection,
        )


def because(reason: DeliveryReason, problem: Problem) -> Problem:
    """Sets the reason that the operator sees, and returns the problem."""
    problem.reason = reason
    return problem


class Stranger(Problem):
    """The answer to a client that cannot show that the delivery comes from the provider.

    It is the same for an unknown token, a wrong signature and a time outside the
    window, so the client does not learn which. `reason` is for the operator only.
    """

    def __init__(self, reason: DeliveryReason, headers: Mapping[str, str] = {}) -> None:
        super().__init__(401, "Unauthorized", headers=headers)
        self.reason = reason


def not_stored(detail: str = "not stored: send it again") -> Problem:
    """The answer while Kafka or another server that is needed cannot be reached."""
    return Problem(503, "Service Unavailable", detail, {"retry-after": "1"})


def json_reply(status: int, document: Any) -> HttpReply:
    return HttpReply(status, json.dumps(document).encode(), "application/json")


def text_reply(
    status: int, text: bytes, content_type: str = "text/plain; charset=utf-8"
) -> HttpReply:
    return HttpReply(status, text, content_type)


ACCEPTED_ONE = json_reply(200, {"accepted": 1})
"""The answer to nearly every delivery."""
REFUSALS: Mapping[int, HttpReply] = {
    status: Problem(status, title, headers={"retry-after": "1"} if status == 503 else {}).reply(
        ends_connection=True
    )
    for status, title in (
        (400, "Bad Request"),
        (408, "Request Timeout"),
        (431, "Request Header Fields Too Large"),
        (503, "Service Unavailable"),
    )
}
"""The answers by status that a connection sends by itself before it ends."""
BUG = Problem(500, "Internal Server Error").reply(ends_connection=True)
