"""Accepts new TCP connections: all that wait, in each turn of the event loop.

uvloop's own server accepts one connection per turn (libuv since 1.45). A turn serves
everything that is readable, so under load it lasts 10 to 100 ms, and a client behind
255 others in the backlog waits for seconds
(docs/decisions/0029-the-receivers-own-server.md).
"""

import asyncio
import errno
import socket
from collections.abc import Callable

import structlog

log = structlog.get_logger()
MOST_PER_TURN = 256
"""The limit per turn, so that a flood of new connections does not starve open ones."""
PAUSE_SECONDS = 0.5
"""The pause when the process or the machine has no room for another connection."""
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Accepts connections from a listening socket until `close` is called.

    The factory makes a protocol for each connection.
    """

    def __init__(
        self, listening: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._joining: set[asyncio.Task[object]] = set()
        self._closed = False
        self._resume()

    def close(self) -> None:
        """Stops accepting. The socket stays open, because it belongs to the caller."""
        self._closed = True
        self._loop.remove_reader(self._listening.fileno())

    async def wait_closed(self) -> None:
        """Waits until each accepted connection has its protocol."""
        if self._joining:
            await asyncio.wait(self._joining)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(MOST_PER_TURN):
            try:
                taken, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                log.error("connections_not_accepted", error=str(error.strerror))
                self._loop.remove_reader(self._listening.fileno())
                self._loop.call_later(PAUSE_SECONDS, self._resume)
                return
            taken.setblocking(False)
            joining = self._loop.create_task(self._join(taken))
            self._joining.add(joining)
            joining.add_done_callback(self._joining.discard)

    async def _join(self, taken: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, taken)
        except OSError:  # the client closed it before it was served
            taken.close()
