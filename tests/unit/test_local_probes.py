import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streams.local.ports import free_port
from streams.local.probes import answers


@contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """A server that answers the first bytes it gets with `reply` and closes. Yields its port."""

    class Once(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1024)
            self.request.sendall(reply)

    with socketserver.TCPServer(("127.0.0.1", 0), Once) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def metadata(brokers: int) -> bytes:
    return struct.pack(">iii", 8, 1, brokers)


@pytest.mark.parametrize(
    ("scheme", "reply", "ready"),
    [
        ("kafka", metadata(1), True),
        ("kafka", metadata(0), False),
        ("kafka", b"", False),
        ("kafka", b"HTTP", False),
        ("postgres", b"R", True),
        ("postgres", b"E", False),
        ("postgres", b"", False),
        ("s3", b"HTTP/1.1 403 Forbidden\r\n\r\n", True),
        ("s3", b"HTTP/1.1 503 Slow Down\r\n\r\n", False),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n", True),
        ("http", b"HTTP/1.1 503 Not Ready\r\n\r\n", False),
        ("http", b"garbage\r\n\r\n", False),
        ("http", b"", False),
    ],
)
def test_only_an_answer_in_its_own_protocol_makes_a_server_ready(
    scheme: str, reply: bytes, ready: bool
) -> None:
    with answering(reply) as port:
        assert answers(f"{scheme}://127.0.0.1:{port}/readyz") is ready


@pytest.mark.parametrize("scheme", ["kafka", "postgres", "s3", "http"])
def test_nobody_at_the_port_is_not_ready(scheme: str) -> None:
    assert not answers(f"{scheme}://127.0.0.1:{free_port(set())}")


def test_an_unknown_scheme_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="gopher"):
        answers("gopher://127.0.0.1:1")
