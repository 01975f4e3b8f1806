"""uvicorn's HTTP protocol with limits that it does not have.

They concern time, header bytes, pipelined requests and connections. A connection is
always in one of five states, each with a time limit:

- It waits for a request head (`head_seconds`, then the answer 408).
- A request is being answered (the application's deadlines).
- The client does not read the answer (`head_seconds`).
- The rest of a body that was answered early is discarded (`head_seconds`).
- The connection is idle (uvicorn's keep-alive).
"""

import asyncio
import json
from collections import Counter
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from schemas.problems import MEDIA_TYPE, TITLES, problem_document

MAX_FIELD_BYTES = 16 * 1024
"""Limit per request for its target, header and trailer fields.

The parser itself has none.
"""
MAX_PIPELINED = 64
"""Limit of requests sent ahead of an answer on one connection.

Each takes some kilobytes, and one read may contain thousands.
"""
FRESH_SECONDS = 1.0
"""While the server stops: how long a client that has connected but sent nothing may still begin."""


class AddressLimit:
    """Limits the connections per remote address, over all connections of a server."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """Counts one more connection, and returns whether the address may have it.

        Every `take` needs a `give_back`.
        """
        self._held[address] += 1
        return self._held[address] <= self._most

    def give_back(self, address: str) -> None:
        self._held[address] -= 1
        if self._held[address] <= 0:
            del self._held[address]


class _TooMuch(Exception):
    """Raised inside the parser, which then stops."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class BoundedProtocol(HttpToolsProtocol):
    """The protocol of one connection."""

    def __init__(
        self,
        *args: Any,
        head_seconds: float,
        max_connections: int,
        addresses: AddressLimit | None = None,
        **named: Any,
    ) -> None:
        super().__init__(*args, **named)
        self._addresses = addresses
        self._address = ""
        self._head_seconds = head_seconds
        self._max_connections = max_connections
        self._untaken: asyncio.TimerHandle | None = None
        self._phase: Literal["between", "head", "body"] = "between"
        self._deadline: asyncio.TimerHandle | None = None
        self._field_bytes = 0
        self._unparsed = 0
        self._has_begun_a_request = False
        self._too_much: int | None = None
        self._ignores_input = False

    # --- called by the transport

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        has_room = self._addresses is None or self._addresses.take(self._address)
        if len(self.connections) > self._max_connections:
            self._refuse(503)
        elif not has_room:
            self._refuse(429)
        else:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._addresses is not None:
            self._addresses.give_back(self._address)
        self.resume_writing()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ignores_input:
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > MAX_FIELD_BYTES and not self._ignores_input:
            self._refuse(431)
        elif self._deadline is None and (
            self._phase == "head" or (self.timeout_keep_alive_task is None and self._is_answered())
        ):
            self._arm()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._untaken = self.loop.call_later(self._head_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    # --- called by the parser

    def on_message_begin(self) -> None:
        self._unset_keepalive_if_required()
        self._has_begun_a_request = True
        self._phase, self._field_bytes, self._unparsed = "head", 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        # A trailer arrives while the request is being answered, and is not a header.
        if self._phase == "head":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop(400)
        self._disarm()
        super().on_headers_complete()
        self._phase = "body"

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase, self._unparsed = "between", 0
        if self.cycle.response_complete:
            self._disarm()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        super().on_message_complete()

    # --- called by the application and the server

    def on_response_complete(self) -> None:
        if self._ignores_input and not self.pipeline:
            self.transport.close()
        elif (
            self._phase == "body"
            and not self.pipeline
            and self._is_answered()
            and self._deadline is None
        ):
            self._arm()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._too_much or 400)

    def shutdown(self) -> None:
        """Closes an idle connection.

        A client that has begun a request, or has just connected, still gets its answer.
        """
        if not self._has_begun_a_request:
            self._disarm()
            self._deadline = self.loop.call_later(
                min(FRESH_SECONDS, self._head_seconds), self._leave_if_silent
            )
        elif self._phase != "head" or not self._is_answered():
            super().shutdown()

    # --- bounds

    def _count(self, size: int) -> None:
        self._unparsed = 0
        self._field_bytes += size
        if self._field_bytes > MAX_FIELD_BYTES:
            self._stop(431)

    def _stop(self, status: int) -> None:
        self._too_much = status
        raise _TooMuch(status)

    def _is_answered(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(self._head_seconds, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if not self._is_answered():
            # A pipelined request: its time begins when the one before is answered.
            self._arm()
        else:
            self._refuse(408)

    def _leave_if_silent(self) -> None:
        self._deadline = None
        if self._phase == "head":
            self._arm()
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        """Stops reading, answers the requests that came before, and closes the connection."""
        self._ignores_input = True
        self._disarm()
        in_body = self._phase == "body"
        if in_body and self.pipeline and self.pipeline[0][0] is self.cycle:
            # It stays incomplete; those before it are still answered.
            self.pipeline.popleft()
            return
        if not in_body and not self._is_answered():
            return
        if not self.transport.is_closing():
            if not (in_body and self.cycle.response_complete):
                self.transport.write(_answer(status))
            self.transport.close()


def _answer(status: int) -> bytes:
    body = json.dumps(problem_document(status)).encode()
    lines = [
        f"HTTP/1.1 {status} {TITLES[status]}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    lines += ["retry-after: 1"] if status in (429, 503) else []
    return "\r\n".join([*lines, "", ""]).encode() + body
