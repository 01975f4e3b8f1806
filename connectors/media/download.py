"""Fetches a file from an address that a stranger gave, without reaching inside the network.

Redirects are followed here, so that each hop is checked again and credentials are sent
only to their origin.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType

import httpcore

from connectors.media.addresses import allowed_hosts
from connectors.media.codings import Coding, UnknownCoding, coding_of
from connectors.media.dialling import GuardedBackend, Resolve, system_resolve
from connectors.media.exchange import BadExchange, ServerResponse, get
from connectors.media.spool import Downloaded, Spool
from schemas.connections import why_unreachable
from schemas.fetching import FileGone, FileNotThere
from schemas.outcomes import Unavailable
from schemas.web_address import NotAnAddress, WebAddress, web_address

__all__ = ["Downloaded", "Downloader", "FileGone", "FileNotThere"]

MAX_HOPS = 4
MOST_AT_ONCE = 200
LONGEST_RETRY_AFTER_SECONDS = 60.0
_RETRIED = frozenset({408, 425, 429})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Downloader:
    """`async with Downloader(…) as downloader: await downloader.fetch(url, …)`."""

    def __init__(
        self,
        *,
        allowed_private_hosts: str,
        spool_dir: Path | None = None,
        most_per_owner: int = MOST_AT_ONCE,
        resolve: Resolve = system_resolve,
        inner: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allowed = allowed_hosts(allowed_private_hosts)
        self._spool = Spool(spool_dir)
        self._backend = GuardedBackend(self._allowed, resolve, inner or httpcore.AnyIOBackend())
        self._tls = ssl.create_default_context()
        self._turns = _Turns(MOST_AT_ONCE, most_per_owner)

    async def __aenter__(self) -> "Downloader":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spool.close()

    async def fetch(
        self,
        url: str,
        *,
        headers: Mapping[str, str] = {},
        max_bytes: int,
        deadline_seconds: float,
        owner: str = "",
    ) -> Downloaded:
        """Downloads the file to the spool.

        `headers` may contain credentials, which are sent to the first origin only. The
        number of simultaneous downloads per owner is limited; others wait, within the
        deadline. Raises FileGone, FileNotThere, or Unavailable for a temporary failure.
        """
        try:
            async with asyncio.timeout(deadline_seconds), self._turns.turn(owner):
                return await self._follow(url, headers, max_bytes)
        except TimeoutError:
            raise Unavailable("media", detail=f"over {deadline_seconds:g} s") from None
        except BadExchange as error:
            raise Unavailable("media", detail=str(error)) from error
        except (
            httpcore.TimeoutException,
            httpcore.NetworkError,
            httpcore.ProtocolError,
            ssl.SSLError,
        ) as error:
            raise Unavailable("media", detail=why_unreachable(error)) from error

    async def spool(
        self, chunks: AsyncIterator[bytes], content_type: str, max_bytes: int
    ) -> Downloaded:
        """Spools a file that is already ours, as if it had been downloaded.

        Raises the same as Spool.fill.
        """
        return await self._spool.fill(chunks, content_type=content_type, max_bytes=max_bytes)

    async def _follow(self, url: str, headers: Mapping[str, str], max_bytes: int) -> Downloaded:
        target = first = self._checked(url)
        credentials = dict(headers)
        for _ in range(MAX_HOPS + 1):
            if target.origin != first.origin:
                # For all later hops: other servers must not direct their use.
                credentials = {}
            request = [
                ("accept", "*/*"),
                ("accept-encoding", "identity"),  # media is compressed already
                ("user-agent", "sensorium"),
                *credentials.items(),
            ]
            async with get(target, request, backend=self._backend, tls=self._tls) as answer:
                if answer.status in _REDIRECTS and answer.values("location"):
                    target = self._next_hop(target, answer.values("location")[0])
                    continue
                coding = _checked_answer(answer, max_bytes)
                return await self._spool.fill(
                    answer.body,
                    content_type=answer.value("content-type"),
                    max_bytes=max_bytes,
                    coding=coding,
                )
        raise FileGone("media_refused_address")

    def _checked(self, url: str, base: WebAddress | None = None) -> WebAddress:
        try:
            target = web_address(url, base)
        except NotAnAddress:
            raise FileGone("media_refused_address") from None
        allowed = (target.host, target.port) in self._allowed
        if target.has_userinfo or (target.scheme == "http" and not allowed):
            raise FileGone("media_refused_address")
        return target

    def _next_hop(self, here: WebAddress, location: bytes) -> WebAddress:
        """The target of a redirect.

        Bytes that are not ASCII are sent back as they came, as browsers do.
        """
        readable = "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in location)
        return self._checked(readable, here)


class _Turns:
    """Limits the simultaneous downloads, in total and per owner."""

    def __init__(self, most: int, most_per_owner: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._most_per_owner = most_per_owner
        self._owners: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        own, count = self._owners.get(owner) or (asyncio.Semaphore(self._most_per_owner), 0)
        self._owners[owner] = own, count + 1
        try:
            async with own, self._all:
                yield
        finally:
            own, count = self._owners.pop(owner)
            if count > 1:
                self._owners[owner] = own, count - 1


def _checked_answer(answer: ServerResponse, max_bytes: int) -> Coding:
    """The encoding of the body, if the answer is worth reading.

    Raises what the answer means for the file.
    """
    status = answer.status
    if status == 404:
        raise FileNotThere
    if status in (401, 403):
        raise FileGone("media_forbidden", status)
    if status == 410:
        raise FileGone("media_gone", status)
    if status in _RETRIED or status >= 500:
        raise Unavailable("media", _retry_after(answer.value("retry-after")), detail=str(status))
    if status != 200:
        raise FileGone("media_wrong_content", status)
    labels = [value.decode("latin-1") for value in answer.values("content-encoding")]
    try:
        coding = coding_of(labels, answer.value("content-type"))
    except UnknownCoding:
        raise FileGone("media_wrong_content", status) from None
    declared = answer.value("content-length")
    if _is_number(declared) and int(declared[:20]) > max_bytes:
        raise FileGone("media_too_large", status)
    return coding


def _retry_after(value: str) -> float:
    """The seconds that the server asked for. A date is not supported."""
    return (
        min(float(value), LONGEST_RETRY_AFTER_SECONDS)
        if _is_number(value) and len(value) < 6
        else 1.0
    )


def _is_number(value: str) -> bool:
    """True for digits as in headers: to Python `²`, a Latin-1 byte, is a digit too."""
    return value.isascii() and value.isdigit()
