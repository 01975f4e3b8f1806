"""A TCP relay for the object store that can refuse, answer 500, or cut an upload."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Mode = Literal["pass", "refuse", "error", "cut"]
CUT_AFTER_BYTES = 600
"""A position after the head of a PUT, within its body. A small picture has about 700 bytes."""
_ERROR = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/xml\r\nconnection: close\r\ncontent-length: 66\r\n\r\n"
    b"<Error><Code>InternalError</Code><Message>broken</Message></Error>"
)


class Proxy:
    """Relays connections.

    `mode` applies to new connections and to open ones. `hurt` counts the connections
    that it disturbed.
    """

    def __init__(self, port: int, target: tuple[str, int]) -> None:
        self.mode: Mode = "pass"
        self.hurt = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self.mode == "refuse":
                self.hurt += 1
                return
            if self.mode == "error":
                self._answer_error(client, client.recv(65536))
                return
            with socket.create_connection(self._target, 5) as store:
                self._relay(client, store)

    def _answer_error(self, client: socket.socket, asked: bytes) -> None:
        if asked:
            self.hurt += 1
            client.sendall(_ERROR)

    def _relay(self, client: socket.socket, store: socket.socket) -> None:
        sent = 0
        with selectors.DefaultSelector() as both:
            both.register(client, selectors.EVENT_READ, store)
            both.register(store, selectors.EVENT_READ, client)
            while True:
                for key, _ in both.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    if self.mode == "refuse":
                        self.hurt += 1
                        return
                    if key.fileobj is client and self.mode == "error":
                        self._answer_error(client, data)
                        return
                    if key.fileobj is client and self.mode == "cut":
                        sent = (
                            len(data)
                            if data.startswith((b"PUT", b"GET", b"HEAD"))
                            else sent + len(data)
                        )
                        if data.startswith(b"PUT") or sent > CUT_AFTER_BYTES:
                            store.sendall(data[: max(0, len(data) // 2)])
                            self.hurt += 1
                            return
                    key.data.sendall(data)


@contextmanager
def proxy(port: int, target: tuple[str, int]) -> Iterator[Proxy]:
    running = Proxy(port, target)
    try:
        yield running
    finally:
        running.close()
