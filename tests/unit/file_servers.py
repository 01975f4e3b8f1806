"""A file server on loopback, and the outcomes of downloads from it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpcore

from connectors.media.download import Downloader
from schemas.fetching import FileGone, FileNotThere
from schemas.outcomes import Unavailable

MAX_BYTES = 100_000
PIECE_BYTES = 65_536
PUBLIC = "93.184.216.34"


class LoopbackOnly(httpcore.AnyIOBackend):
    """Never connects to a public address: it notes the address and refuses."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    async def connect_tcp(
        self, host: str, port: int, *arguments: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append(host)
        if host != "127.0.0.1":
            raise httpcore.ConnectError("not dialled in a test")
        return await super().connect_tcp(host, port, *arguments, **options)


def answer(status: int, headers: str = "", body: bytes = b"") -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}".encode()
        + (b"" if "transfer-encoding" in headers else b"content-length: %d\r\n" % len(body))
        + b"\r\n"
        + body
    )


@dataclass
class Server:
    """Answers each path with its bytes.

    `asked` are the requests as (host, path, whether with credentials).
    """

    port: int = 0
    pieces: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, bool]] = field(default_factory=list)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), 0.02)

    async def end(self) -> None:
        self._over.set()
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ")[1]
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            self.asked.append((headers["host"].partition(":")[0], path, "x-api-key" in headers))
            writer.write(self.answers[path])
            await writer.drain()
            for _ in range(self.pieces if path == "/large" else 0):
                writer.write(b"y" * PIECE_BYTES)
                await writer.drain()
            while path == "/drip" and not writer.is_closing():
                writer.write(b"x")
                await self._pause()
        writer.close()


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """A server on loopback."""
    known = Server()
    listening = await asyncio.start_server(known.serve_one, "127.0.0.1", 0)
    known.port = listening.sockets[0].getsockname()[1]
    try:
        yield known
    finally:
        listening.close()
        await known.end()


async def resolve(host: str, port: int) -> list[str]:
    known = {
        "files.test": ["127.0.0.1"],
        "other.test": ["127.0.0.1"],
        "inside.test": ["10.0.0.7"],
        "mixed.test": [PUBLIC, "192.168.1.1"],
        "nowhere.test": [],
        "files.test.": ["127.0.0.1"],
    }
    if host in known:
        return known[host]
    if host == "unknown.test":
        raise OSError("no such name")
    # a literal address, in whatever notation: the system reads it, no name server is asked
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


def downloader(spool: Path, allowed: str = "", dials: LoopbackOnly | None = None) -> Downloader:
    return Downloader(
        allowed_private_hosts=allowed,
        spool_dir=spool,
        resolve=resolve,
        inner=dials or LoopbackOnly(),
    )


def content(of: Any) -> bytes:
    """The bytes of a downloaded file, which is discarded."""
    of.file.seek(0)
    try:
        return bytes(of.file.read())
    finally:
        of.discard()


async def outcome(
    of: Downloader, url: str, *, deadline_seconds: float = 5.0, **options: Any
) -> object:
    """The outcome of a download, as a value."""
    async with of as opened:
        try:
            return await opened.fetch(
                url, max_bytes=MAX_BYTES, deadline_seconds=deadline_seconds, **options
            )
        except FileGone as refused:
            return refused.reason, refused.status
        except FileNotThere:
            return "not there"
        except Unavailable as unavailable:
            return unavailable.what, unavailable.retry_after


REFUSED = ("media_refused_address", None)
