"""What the receiver answers: JSON, problems by RFC 9457, plain text."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from connectors.errors import ConnectorsError
from schemas.reasons import DeliveryReason

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Problem(ConnectorsError):
    """An answer that is an error. `reason` is for the operator's counts only, and no part of the answer."""

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


def because(reason: DeliveryReason, problem: Problem) -> Problem:
    """The problem, with the reason that the operator sees."""
    problem.reason = reason
    return problem


UNAUTHORIZED = {"type": "about:blank", "title": "Unauthorized", "status": 401}
"""The same for an unknown token, a wrong signature and a time outside the window: nobody learns which."""


class Stranger(Problem):
    """The answer to whoever cannot show that the delivery is the provider's. `reason` is for the operator only."""

    def __init__(self, reason: DeliveryReason, headers: Mapping[str, str] = {}) -> None:
        super().__init__(401, "Unauthorized", headers=headers)
        self.document = UNAUTHORIZED
        self.reason = reason


async def answer(
    send: Send, status: int, body: bytes, content_type: bytes, headers: Mapping[str, str] = {}
) -> None:
    fields = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    fields += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def answer_json(
    send: Send, status: int, document: Any, headers: Mapping[str, str] = {}
) -> None:
    await answer(send, status, json.dumps(document).encode(), b"application/json", headers)


async def answer_problem(send: Send, problem: Problem) -> None:
    await answer(
        send,
        problem.status,
        json.dumps(problem.document).encode(),
        b"application/problem+json",
        problem.headers,
    )


async def answer_text(
    send: Send, status: int, text: bytes, content_type: bytes = b"text/plain; charset=utf-8"
) -> None:
    await answer(send, status, text, content_type)
