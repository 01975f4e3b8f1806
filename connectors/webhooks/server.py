"""The receiver's HTTP server: its sockets, their connections, and the deadlines of these."""

import asyncio
import socket
from email.utils import formatdate

from connectors.webhooks.incoming import Application
from connectors.webhooks.protocol import ClientConnection
from connectors.webhooks.wheel import DeadlineWheel
from storage.accepting import Acceptor
from storage.waiting import Deadline

_LOOK_SECONDS = 0.1


class ReceiverServer:
    """Serves until `should_exit`, then answers in-flight requests for up to `drain_seconds`."""

    def __init__(
        self,
        application: Application,
        *,
        head_seconds: float,
        max_connections: int,
        drain_seconds: float,
    ) -> None:
        self.application = application
        self.wheel = DeadlineWheel()
        self.connections: set[ClientConnection] = set()
        self.head_seconds = head_seconds
        self.max_connections = max_connections
        self.early_bytes = 0
        self.ending = False
        self.should_exit = False
        self.date = b""
        self._drain_seconds = drain_seconds

    def say_goodbye(self) -> None:
        """Makes every answer close its connection, so that clients leave before the server does."""
        self.ending = True

    async def serve(self, sockets: list[socket.socket]) -> None:
        """Serves on these listening sockets, and closes them at the end."""
        self._set_date()
        self.wheel.start()
        acceptors = [Acceptor(each, lambda: ClientConnection(self)) for each in sockets]
        while not self.should_exit:
            self._set_date()
            await asyncio.sleep(_LOOK_SECONDS)
        for acceptor, listening in zip(acceptors, sockets, strict=True):
            acceptor.close()
            listening.close()
            await acceptor.wait_closed()
        for connection in list(self.connections):
            connection.shutdown()
        deadline = Deadline(self._drain_seconds)
        while self.connections and not deadline.has_passed:
            await asyncio.sleep(_LOOK_SECONDS / 10)
        for connection in list(self.connections):
            connection.abort()
        self.wheel.stop()

    def _set_date(self) -> None:
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
