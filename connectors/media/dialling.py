"""Connects to hosts that strangers name. Every address is checked before connecting."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpcore

from connectors.media.addresses import is_public
from schemas.fetching import FileGone

MOST_DIALLED = 4
Resolve = Callable[[str, int], Awaitable[list[str]]]

_RESOLVERS = ThreadPoolExecutor(64, thread_name_prefix="resolve")
"""A separate pool: name servers that never answer must not block the shared threads."""


async def system_resolve(host: str, port: int) -> list[str]:
    """The addresses of a name from the system's resolver.

    Raises OSError and UnicodeError.
    """
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    infos = await asyncio.get_running_loop().run_in_executor(_RESOLVERS, look_up)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name once, checks every address, and connects to one of the checked ones.

    No second look-up could return something else. A name is refused if even one of its
    addresses is not public.
    """

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
        exempt = (host, port) in self._allowed
        if not addresses or (not exempt and not all(map(is_public, addresses))):
            raise FileGone("media_refused_address")
        last: Exception = httpcore.ConnectError("no address")
        for address in addresses[:MOST_DIALLED]:
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
        raise FileGone("media_refused_address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
