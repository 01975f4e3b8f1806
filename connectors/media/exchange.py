"""One GET over HTTP/1.1 whose cost for the event loop is bounded, whatever the server sends.

httpcore connects and encrypts. llhttp (httptools) parses the answer in C: a parser in
Python takes 15 µs per chunk, so a server that sends chunks of one byte would keep the
loop busy with 0.4 MB/s. The download itself pays for the remaining cost by pausing (see
`_Effort`).
"""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpcore
import httptools

from connectors.errors import ConnectorsError
from schemas.web_address import WebAddress

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
READ_BYTES = 64 * 1024
LARGEST_HEAD_BYTES = 64 * 1024
MOST_INTERIM_ANSWERS = 8
WINDOW_SECONDS = 10.0
WINDOW_BYTES = 4 * 1024
"""A body that brings fewer bytes per window is given up.

It would only occupy a place.
"""
_BREAKS_THE_LINE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class BadExchange(ConnectorsError):
    """The server does not speak HTTP, ends too early, or sends hardly anything."""


@dataclass(frozen=True, slots=True)
class ServerResponse:
    """The head of an answer and its body, which can be read once.

    Iterating raises BadExchange and httpcore's errors.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: AsyncIterator[bytes] = field(repr=False)

    def values(self, name: str) -> list[bytes]:
        """The values of a header, which may be repeated. `name` is in lower case."""
        return [value for key, value in self.headers if key.lower() == name.encode()]

    def value(self, name: str) -> str:
        """The first value of a header as text, or an empty string."""
        return next((value.decode("latin-1").strip() for value in self.values(name)), "")


@asynccontextmanager
async def get(
    address: WebAddress,
    headers: Iterable[tuple[str, str]],
    *,
    backend: httpcore.AsyncNetworkBackend,
    tls: ssl.SSLContext,
) -> AsyncIterator[ServerResponse]:
    """Sends a request on a connection of its own, which is closed afterwards.

    Raises BadExchange and httpcore's errors.
    """
    stream = await backend.connect_tcp(address.host, address.port, CONNECT_SECONDS)
    try:
        if address.scheme == "https":
            name = address.host.rstrip(".")
            stream = await stream.start_tls(tls, name, CONNECT_SECONDS)
        await stream.write(_request(address, headers), READ_SECONDS)
        reading = _Reading(stream)
        await reading.head()
        yield ServerResponse(reading.status, reading.headers, reading.body())
    finally:
        await stream.aclose()


def _request(address: WebAddress, headers: Iterable[tuple[str, str]]) -> bytes:
    fields = [("host", address.authority), *headers, ("connection", "close")]
    if any(_BREAKS_THE_LINE.search(name + value) for name, value in fields):
        raise BadExchange("a header that is not one line of Latin-1")
    lines = [f"GET {address.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Effort:
    """Computes the pauses that limit a download to about 1 % of a processor.

    A unit is about 0.1 ms of the loop. A read costs one unit, 64 pieces of a body cost
    one, and 1 KiB of body earns one. An honest transfer earns more than it costs and
    never pauses.
    """

    BURST = 256.0
    PAUSE_SECONDS = 0.01
    LONGEST_PAUSE_SECONDS = 5.0

    def __init__(self) -> None:
        self._credit = self.BURST

    def pause_seconds(self, body_bytes: int, pieces: int) -> float:
        """The pause after a read that brought this many bytes of body in this many pieces."""
        credit = self._credit + body_bytes / 1024 - 1 - pieces / 64
        self._credit = min(max(credit, 0.0), self.BURST)
        return min(max(-credit, 0.0) * self.PAUSE_SECONDS, self.LONGEST_PAUSE_SECONDS)


class _Reading:
    """Feeds the parser and collects its results.

    The `on_…` methods are its callbacks.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._parser = httptools.HttpResponseParser(self)
        # As lenient as browsers: a connection has one answer only, so no other one can
        # be smuggled into it.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_transfer_encoding=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._effort = _Effort()
        self._pieces: list[bytes] = []
        self._interim = 0
        self._has_head = self._is_complete = False
        self._idle_bytes = 0
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        # This is the head of another answer, which was not requested.
        if self._has_head:
            return
        self.status = self._parser.get_status_code()
        if 100 <= self.status < 200:
            self._interim += 1
            self.headers.clear()
        else:
            self._has_head = True

    def on_body(self, piece: bytes) -> None:
        if not self._is_complete:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self._is_complete = self._has_head

    async def head(self) -> None:
        """Reads until the head is complete. Interim answers (1xx) are skipped."""
        while not self._has_head:
            if not await self._read():
                raise BadExchange("ended before the head")
            if self._interim > MOST_INTERIM_ANSWERS:
                raise BadExchange("too many interim answers")

    async def body(self) -> AsyncIterator[bytes]:
        """Yields the body in pieces.

        Each piece is taken from the parser exactly once.
        """
        window_end, in_window = time.monotonic() + WINDOW_SECONDS, 0
        while True:
            if self._pieces:
                piece, self._pieces = b"".join(self._pieces), []
                in_window += len(piece)
                yield piece
            if self._is_complete:
                return
            if time.monotonic() > window_end:
                if in_window < WINDOW_BYTES:
                    raise BadExchange("too slow")
                window_end, in_window = time.monotonic() + WINDOW_SECONDS, 0
            if not await self._read():
                if self._has_length():
                    raise BadExchange("ended before the body did")
                return

    async def _read(self) -> bool:
        """Feeds one read to the parser. Returns False at the end of the connection."""
        data = await self._stream.read(READ_BYTES, READ_SECONDS)
        if not data:
            return False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._is_complete:  # bytes after a complete answer do not matter
                raise BadExchange(type(error).__name__) from None
        brought = sum(map(len, self._pieces))
        self._idle_bytes = 0 if brought else self._idle_bytes + len(data)
        # An endless head, trailer or extension.
        if self._idle_bytes > LARGEST_HEAD_BYTES:
            raise BadExchange(f"a head or trailers of over {LARGEST_HEAD_BYTES} bytes")
        if not self._is_complete:
            await asyncio.sleep(self._effort.pause_seconds(brought, len(self._pieces)))
        return True

    def _has_length(self) -> bool:
        """True if the answer states its length.

        Otherwise it ends with the connection.
        """
        named = [(name.lower(), value.lower()) for name, value in self.headers]
        transfer = [value for name, value in named if name == b"transfer-encoding"]
        if transfer:
            return b"chunked" in transfer[-1]
        return any(name == b"content-length" for name, _ in named)
