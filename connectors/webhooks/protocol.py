"""HTTP/1.1 on one connection, with limits for time, header bytes and pipelined requests.

A connection is always in one of five states, each with a time limit:

- It waits for a head (`head_seconds`, then the answer 408).
- A request is being answered (the request's own deadline).
- The client does not read its answer (`head_seconds`).
- The rest of a body that was answered early is discarded (`head_seconds`).
- The connection is idle (`KEEP_ALIVE_SECONDS`).

The requests of a connection are answered in their order, one at a time. Nothing here
waits: the parser calls the application, which may call `Incoming.answer` at any time.
"""

import time
from typing import Any, Literal

import httptools

from connectors.errors import ConnectorsError
from connectors.webhooks.answers import REFUSALS, HttpReply
from connectors.webhooks.connection import Surroundings, TimedConnection
from connectors.webhooks.heads import NAMES, head_of_the_same_body, learn, path_of
from connectors.webhooks.incoming import Incoming
from connectors.webhooks.wheel import NEVER

MAX_FIELD_BYTES = 16 * 1024
"""The most bytes of target, header fields and trailer fields of one request.

The parser has no limit and would store any number of them.
"""
MAX_PIPELINED = 64
"""The most pipelined requests of one connection.

Each takes some kilobytes, and one read may contain thousands.
"""
KEEP_ALIVE_SECONDS = 65.0
FRESH_SECONDS = 1.0
"""When the server ends, a new connection has this long to begin its first request."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_HEAD = b"\r\n:"
"""Makes the parser fail, which ends the connection with 400."""


class _StopReading(ConnectorsError):
    """Raised in a callback of the parser to make it stop."""


class ClientConnection(TimedConnection):
    """The HTTP/1.1 protocol of one connection. The parser calls the `on_…` methods."""

    __slots__ = (
        "_field_bytes", "_has_begun_a_request", "_headers", "_is_advancing", "_is_new_parser",
        "_leaving", "_parser", "_parsing", "_phase", "_requests_in_read", "_too_much",
        "_unparsed", "_upgrades", "_url",
    )  # fmt: skip

    def __init__(self, server: Surroundings) -> None:
        super().__init__(server)
        self._parser: Any = httptools.HttpRequestParser(self)
        self._phase: Literal["between", "head", "body"] = "between"
        self._parsing: Incoming | None = None  # whose body comes
        self._url = b""
        self._headers: dict[str, str] = {}
        self._field_bytes = 0
        self._unparsed = 0
        self._requests_in_read = 0
        self._too_much: int | None = None
        self._has_begun_a_request = False
        self._leaving = False
        self._is_advancing = False
        self._upgrades = False
        self._is_new_parser = False

    # --- callbacks of the transport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._server.connections.add(self)
        if len(self._server.connections) > self._server.max_connections:
            self._refuse(503)
        else:
            self._wait(self._server.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._server.wheel.forget(self)
        self.deadline = self._untaken_until = NEVER
        self._deaf = True
        self._drop_queue()
        self._parser = None
        current, self._current, self._parsing = self._current, None, None
        if current is not None and current.taker is not None:
            taker, current.taker = current.taker, None
            taker.gone()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._requests_in_read = 0
        self._unparsed += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            if not self._deaf:
                self._refuse(self._too_much or 400)
            return
        if self._unparsed > MAX_FIELD_BYTES and not self._deaf:
            self._refuse(431)
        elif self._current is not None or self._queue:
            self.watch()
        elif self._phase == "head" and self.deadline == NEVER:
            self._wait(self._server.head_seconds)

    def _parse(self, data: bytes) -> None:
        """Feeds the parser. A request to upgrade the protocol is ignored.

        After such a request the parser takes the following bytes for the other protocol's.
        They are the body of the request, so a new parser continues with them.
        """
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as wish:
                if self._deaf:
                    return
                data = data[wish.args[0] :]
            self._upgrades, self._is_new_parser = False, True
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(head_of_the_same_body(self._headers) or _NO_HEAD)

    def eof_received(self) -> bool:
        """Still answers complete requests of a client that has closed its sending side.

        Returns True to keep the transport open for these answers.
        """
        self._deaf = True
        if self._phase == "body" and self._queue and self._queue[-1] is self._parsing:
            self._give_up(self._queue.pop())
        return bool(self._queue) or (self._current is not None and self._current.complete)

    def pause_writing(self) -> None:
        """Stops reading and answering while the client does not read its answers."""
        self._untaken_until = time.monotonic() + self._server.head_seconds
        self._pause()
        self.watch()

    def resume_writing(self) -> None:
        if not self._transport.is_closing():
            self._untaken_until = NEVER
            if self._current is None:
                self._advance()
            elif not self._queue:
                self._resume()

    # --- callbacks of the parser

    def on_message_begin(self) -> None:
        if self._is_new_parser:
            return
        self._has_begun_a_request = True
        self._phase, self._field_bytes, self._unparsed = "head", 0, 0
        self._url, self._headers = b"", {}
        if self._current is None and self._parsing is not None:
            # The time limit of the first head starts with the connection, that of a later
            # head here.
            self.deadline = NEVER

    def on_url(self, url: bytes) -> None:
        if self._is_new_parser:
            return
        self._count(len(url))
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Counted here and not by a call, because there are several per request.
        self._unparsed = 0
        self._field_bytes += len(name) + len(value)
        if self._field_bytes > MAX_FIELD_BYTES:
            self._count(0)
        if self._phase != "head":
            return  # repeated to a new parser, or a trailer, which is not a header
        known = NAMES.get(name)
        if known is None:
            known = learn(name)
        # The first value counts, so that a second signature cannot replace it.
        if known not in self._headers:
            self._headers[known] = value.decode("latin-1")
        elif known == "transfer-encoding":
            self._headers[known] += ", " + value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._is_new_parser:
            self._is_new_parser = False
            return
        self._requests_in_read += 1
        if (
            self._deaf
            or self._requests_in_read > MAX_PIPELINED + 1
            or len(self._queue) >= MAX_PIPELINED
        ):
            self._too_much = 400
            raise _StopReading
        parser, headers = self._parser, self._headers
        method = parser.get_method().decode("ascii")
        request = Incoming(self, method, path_of(self._url), headers)
        self._upgrades = parser.should_upgrade()
        is_old = parser.get_http_version() == "1.0"
        request.closes = (
            is_old
            or not parser.should_keep_alive()
            or (self._upgrades and headers.get("upgrade", "").lower() != "h2c")
        )
        if "expect" in headers and not is_old:
            request.expects_continue = headers["expect"].lower() == "100-continue"
        self._parsing, self._phase, self._unparsed = request, "body", 0
        if self._current is None and not self._queue and self._untaken_until == NEVER:
            self._begin(request)
            return
        if self._current is None:
            # It waits until the client reads, which has its own limit.
            self.deadline = NEVER
        self._queue.append(request)
        self._pause()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        request = self._parsing
        if request is None or request.is_answered:
            return
        if request is self._current:
            assert request.taker is not None
            request.taker.more(body)
        elif not self._keep(request, body):
            raise _StopReading

    def on_message_complete(self) -> None:
        if self._upgrades:
            return  # the body is still to come
        self._phase, self._unparsed = "between", 0
        request = self._parsing
        assert request is not None
        request.complete = True
        if request is self._current:
            assert request.taker is not None
            request.taker.whole()
        elif request.is_answered and self._current is None and not self._deaf:
            if request.closes or self._leaving:
                self._close()
            else:
                self._wait(KEEP_ALIVE_SECONDS)

    # --- calls of the application and the server

    def answered(self, request: Incoming, reply: HttpReply) -> None:
        if self._parser is None:  # lost
            return
        closes = request.closes or reply.ends_connection or self._server.ending or self._leaving
        self._transport.write(
            reply.wire(self._server.date, is_head=request.method == "HEAD", closes=closes)
        )
        if request is self._current:
            self._current = None
        if (
            closes
            and request is self._parsing
            and not (request.complete or reply.ends_connection or self._deaf)
        ):
            # Closing while the rest of the body arrives would reset the connection, and the
            # client might never see the answer.
            request.closes = True
            self._resume()
            self._wait(self._server.head_seconds)
        elif closes:
            self._close()
        elif not self._is_advancing:
            self._advance()

    def shutdown(self) -> None:
        """Ends an idle connection now, and any other one after its answers.

        A connection without a first request has FRESH_SECONDS to begin one.
        """
        if not self._has_begun_a_request:
            self._leaving = True
            self._wait(min(FRESH_SECONDS, self._server.head_seconds))
        elif self._current is not None or self._queue or self._phase == "body":
            self._leaving = True
        elif self._phase != "head":
            self._close()

    def expired(self, now: float) -> None:
        """Reacts to the deadline: the present state of the connection has lasted too long."""
        self.deadline = NEVER
        if self._untaken_until <= now:
            self._transport.abort()
        elif self._current is not None:
            if self._current.deadline <= now and self._current.taker is not None:
                self._current.taker.late()
            else:
                self.watch()
        elif self._queue:
            self.watch()
        elif self._phase == "between" and (self._has_begun_a_request or self._leaving):
            self._close()  # idle
        elif self._phase == "head" and self._leaving:
            self._leaving = False  # began in time, and has the time of a head
            self._wait(self._server.head_seconds)
        else:
            self._refuse(408)

    # --- one request after another

    def _begin(self, request: Incoming) -> None:
        self._current = request
        self.deadline = NEVER
        self._server.application.begin(request)
        if request is self._current and request.expects_continue and not request.complete:
            self._transport.write(_CONTINUE)

    def _advance(self) -> None:
        """Begins pipelined requests until one is not answered at once.

        Then it waits for that answer or for the next request.
        """
        self._is_advancing = True
        while self._current is None and self._queue and self._untaken_until == NEVER:
            self._replay(self._queue.popleft())
        self._is_advancing = False
        if self._queue:
            if self._current is None:
                self.deadline = NEVER
            self.watch()
            return
        if self._deaf:
            if self._current is None:
                self._close()
            else:
                self.watch()
            return
        self._resume()  # also for the rest of the request that is being answered now
        if self._current is not None:
            self.watch()
            return
        if self._phase == "between":
            self._wait(KEEP_ALIVE_SECONDS)
        else:  # the next head has begun, or the rest of a body is thrown away
            self._wait(self._server.head_seconds)

    def _replay(self, request: Incoming) -> None:
        """Passes the stored part of a pipelined request to the application."""
        self._begin(request)
        for chunk in self._give_up(request):
            if request.is_answered:
                return
            assert request.taker is not None
            request.taker.more(chunk)
        if request.complete and not request.is_answered:
            assert request.taker is not None
            request.taker.whole()

    # --- limits

    def _count(self, size: int) -> None:
        self._unparsed = 0
        self._field_bytes += size
        if self._field_bytes > MAX_FIELD_BYTES:
            self._too_much = 431
            raise _StopReading

    def _refuse(self, status: int) -> None:
        """Stops reading, and ends the connection with this status after the earlier answers."""
        self._deaf = True
        broken = self._parsing if self._phase == "body" else None
        if broken is not None and self._queue and self._queue[-1] is broken:
            # It will never be complete. The requests before it are still answered.
            self._give_up(self._queue.pop())
            return
        if broken is None and (self._current is not None or self._queue):
            return
        if not self._transport.is_closing() and not (broken is not None and broken.is_answered):
            reply = REFUSALS[status]
            self._transport.write(reply.wire(self._server.date, is_head=False, closes=True))
            if broken is None:
                self._server.application.refused(status)
            elif broken.taker is not None:
                self._current = None
                taker, broken.taker = broken.taker, None
                taker.gone(status)
        self._close()
