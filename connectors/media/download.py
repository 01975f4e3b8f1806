"""Fetches a file whose address a stranger gave, without reaching inside the network.

Every address a name resolves to is checked, and the checked address is dialled: there is no second look-up that could
answer otherwise. Redirects are followed here, so that each hop is checked again and credentials stay with their origin.
"""

import asyncio
import builtins
import errno
import hashlib
import os
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import httpcore

from connectors.media.addresses import allowed_hosts, is_public
from schemas.outcomes import Unavailable
from schemas.reasons import AttachmentReason

MAX_HOPS = 4
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
HEAD_BYTES = 4_096
LONGEST_RETRY_AFTER_SECONDS = 60.0
_RETRIED = frozenset({408, 425, 429})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
Resolve = Callable[[str, int], Awaitable[list[str]]]


class Refused(Exception):
    """It will not get better. `status` where a server answered."""

    def __init__(self, reason: AttachmentReason, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class NotThere(Exception):
    """404. It may not be there yet: the caller knows for how long that is plausible."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file in the spool; `head` its first bytes. Whoever asked for it discards it."""

    path: Path
    bytes: int
    sha256: str
    content_type: str
    head: builtins.bytes

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


_RESOLVERS = ThreadPoolExecutor(64, thread_name_prefix="resolve")
"""Of its own: name servers that never answer must not hold the threads that everything else in the process waits for."""


async def system_resolve(host: str, port: int) -> list[str]:
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    infos = await asyncio.get_running_loop().run_in_executor(_RESOLVERS, look_up)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, checks every address, dials a checked one. One bad address among good ones is enough to refuse."""

    def __init__(
        self, allowed: Set[tuple[str, int]], resolve: Resolve, inner: httpcore.AsyncNetworkBackend
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"name not resolved: {type(error).__name__}") from error
        exempt = (host.lower(), port) in self._allowed
        if not addresses or (not exempt and not all(is_public(address) for address in addresses)):
            raise Refused("media_refused_address")
        last: Exception = httpcore.ConnectError("no address")
        for address in addresses[:4]:
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise Refused("media_refused_address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class Downloader:
    """`async with Downloader(…) as downloader: await downloader.fetch(url, …)`."""

    def __init__(
        self,
        *,
        allowed_private_hosts: str,
        spool_dir: Path,
        resolve: Resolve = system_resolve,
        inner: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allowed = allowed_hosts(allowed_private_hosts)
        self._spool_dir = spool_dir
        backend = GuardedBackend(self._allowed, resolve, inner or httpcore.AnyIOBackend())
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=200,
            max_keepalive_connections=0,
            network_backend=backend,
        )

    async def __aenter__(self) -> "Downloader":
        self._spool_dir.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pool.aclose()

    async def fetch(
        self, url: str, *, headers: Mapping[str, str] = {}, max_bytes: int, deadline_seconds: float
    ) -> Downloaded:
        """The file, spooled. `headers` may hold credentials: they go to the first origin only.

        Raises Refused, NotThere, or Unavailable for what may get better.
        """
        try:
            async with asyncio.timeout(deadline_seconds):
                return await self._follow(url, headers, max_bytes)
        except TimeoutError:
            raise Unavailable("media", detail=f"over {deadline_seconds:g} s") from None
        except (
            httpcore.TimeoutException,
            httpcore.NetworkError,
            httpcore.ProtocolError,
            ssl.SSLError,
        ) as error:
            raise Unavailable("media", detail=type(error).__name__) from error

    async def spool(
        self, chunks: AsyncIterator[bytes], content_type: str, max_bytes: int
    ) -> Downloaded:
        """A file that is ours already, as if it had been downloaded. Raises Unavailable for a full disk, and what `chunks` raises."""
        return await self._spool(chunks, {"content-type": content_type}, max_bytes)

    async def _follow(self, url: str, headers: Mapping[str, str], max_bytes: int) -> Downloaded:
        target = first = self._checked(url)
        sent = dict(headers)
        for _ in range(MAX_HOPS + 1):
            if _origin(target) != _origin(first):
                sent = {}  # for good: who sent us away must not choose what is asked with them on the way back
            # identity: media is compressed already, and a compressed answer could be a bomb
            request = [
                ("host", target.netloc),
                ("accept", "*/*"),
                ("accept-encoding", "identity"),
                ("user-agent", "sensorium"),
                *sent.items(),
            ]
            async with self._pool.stream(
                "GET", target.geturl(), headers=_encoded(request), extensions={"timeout": _TIMEOUTS}
            ) as response:
                answer = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                }
                if response.status in _REDIRECTS and "location" in answer:
                    target = self._next_hop(target, answer["location"])
                    continue
                _check_answer(response.status, answer, max_bytes)
                return await self._spool(response.aiter_stream(), answer, max_bytes)
        raise Refused("media_refused_address")

    def _checked(self, url: str) -> SplitResult:
        try:
            target = urlsplit(url)
            port = target.port or (443 if target.scheme == "https" else 80)
            host = (target.hostname or "").lower()
            url.encode("ascii")
            if any(character <= " " or character == "\x7f" for character in url):
                raise ValueError("white space")
        except (ValueError, UnicodeError):
            target, host, port = None, "", 0
        if (
            target is None
            or target.scheme not in ("http", "https")
            or not host
            or target.username is not None
            or target.password is not None
        ):
            raise Refused("media_refused_address")
        if target.scheme == "http" and (host, port) not in self._allowed:
            raise Refused("media_refused_address")
        return target._replace(fragment="")

    def _next_hop(self, here: SplitResult, location: str) -> SplitResult:
        try:
            joined = urljoin(here.geturl(), location)
        except ValueError:
            raise Refused("media_refused_address") from None
        return self._checked(joined)

    async def _spool(
        self, chunks: AsyncIterator[bytes], answer: Mapping[str, str], max_bytes: int
    ) -> Downloaded:
        descriptor, name = tempfile.mkstemp(dir=self._spool_dir)
        path, digest, size, head = Path(name), hashlib.sha256(), 0, b""
        try:
            with os.fdopen(descriptor, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > max_bytes:
                        raise Refused("media_too_large")
                    if len(head) < HEAD_BYTES:
                        head += chunk[: HEAD_BYTES - len(head)]
                    digest.update(chunk)
                    file.write(chunk)
            if size == 0:
                raise Refused("media_empty")
            return Downloaded(path, size, digest.hexdigest(), answer.get("content-type", ""), head)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE):
                raise Unavailable(
                    "disk", retry_after=5.0, detail=errno.errorcode[error.errno]
                ) from error
            raise
        except BaseException:
            path.unlink(missing_ok=True)
            raise


_TIMEOUTS = {
    "connect": CONNECT_SECONDS,
    "read": READ_SECONDS,
    "write": READ_SECONDS,
    "pool": READ_SECONDS,
}


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or {"https": 443, "http": 80}.get(url.scheme)


def _check_answer(status: int, answer: Mapping[str, str], max_bytes: int) -> None:
    """Raises what the status means for the file; returns when a body is worth reading."""
    if status == 404:
        raise NotThere
    if status in (401, 403):
        raise Refused("media_forbidden", status)
    if status == 410:
        raise Refused("media_gone", status)
    if status in _RETRIED or status >= 500:
        raise Unavailable("media", _retry_after(answer.get("retry-after", "")), detail=str(status))
    if status != 200:
        raise Refused("media_wrong_content", status)
    if answer.get("content-encoding", "identity").lower() != "identity":
        raise Refused("media_wrong_content", status)
    declared = answer.get("content-length", "")
    if _is_number(declared) and int(declared[:20]) > max_bytes:
        raise Refused("media_too_large", status)


def _retry_after(value: str) -> float:
    """Seconds, as the server asked; a date is not worth reading here."""
    return (
        min(float(value), LONGEST_RETRY_AFTER_SECONDS)
        if _is_number(value) and len(value) < 6
        else 1.0
    )


def _is_number(value: str) -> bool:
    """Digits as headers have them: `²` is a digit to Python, and a byte of Latin-1."""
    return value.isascii() and value.isdigit()


def sweep_spool(spool_dir: Path, older_than_seconds: float) -> int:
    """Removes what a killed process left in the spool; returns how many files."""
    edge = time.time() - older_than_seconds
    stale = (
        [path for path in spool_dir.glob("tmp*") if path.stat().st_mtime < edge]
        if spool_dir.exists()
        else []
    )
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)
