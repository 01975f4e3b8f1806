"""Serves HTTP for a role: its listening socket, and a stop that refuses no request."""

import asyncio
import ctypes
import math
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from storage.accepting import MOST_PER_TURN, Acceptor
from streams.roles.port_claims import Installation, PortTaken, claim_port

log = structlog.get_logger()

DRAIN_NOTICE_SECONDS = 0.5
"""The time between "not ready" and refusing new connections, for a load balancer to notice."""
SETTLE_SECONDS = 0.5
"""The time between refusing new connections and closing the socket.

Handshakes in progress complete in it.
"""
MAX_OPEN_FILES = 16_384
RESERVED_FILES = 128 + MOST_PER_TURN
"""Files for Kafka and Postgres, and for connections accepted in one turn and refused with 503."""

_SO_ATTACH_FILTER = 26
_FLAGS_OFFSET, _SYN_AND_ACK, _SYN = 13, 0x12, 0x02
# Classic BPF over the TCP header: drop a segment with SYN and without ACK, keep every other one.
_NO_SYN = (
    (0x30, 0, 0, _FLAGS_OFFSET),  # load a byte
    (0x54, 0, 0, _SYN_AND_ACK),  # and
    (0x15, 0, 1, _SYN),  # equal?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # keep
)


class Serving(Protocol):
    """A server that its role can end."""

    should_exit: bool

    async def serve(self, sockets: list[socket.socket]) -> None: ...
    def say_goodbye(self) -> None:
        """Makes every answer from now on close its connection.

        Clients then connect elsewhere before this server closes their connections.
        """
        ...


class RoleServer(uvicorn.Server):
    """A uvicorn server that leaves signals to its role and accepts connections in batches."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        protocol: Any = self.config.http_protocol_class
        make = partial(
            protocol,
            config=self.config,
            server_state=self.server_state,
            app_state={},
        )
        self.servers = [Acceptor(each, make) for each in sockets or ()]  # type: ignore[misc]
        self.started = True

    def say_goodbye(self) -> None:
        close = (b"connection", b"close")
        self.config.encoded_headers.append(close)
        self.server_state.default_headers = [*self.server_state.default_headers, close]
        for connection in self.server_state.connections:
            if isinstance(connection, HttpToolsProtocol) and connection.cycle is not None:
                connection.cycle.keep_alive = False


def connections_allowed() -> int:
    """The number of connections that the limit of open files allows.

    The limit is first raised as far as possible. Some files are reserved, because at
    the limit neither a connection nor Kafka nor Postgres could be served.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(1, most - RESERVED_FILES)


def listening_socket(host: str, port: int, installation: Installation) -> socket.socket:
    """Opens a socket that the other processes of this installation may share (SO_REUSEPORT).

    So one of them can be replaced while another answers. Raises PortTaken if the port
    is not this installation's. The claim is not released: it ends with the process, as
    the socket does.
    """
    claim_port(port, installation, host=host)
    listening = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM
    )
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listening.listen(2048)
    listening.setblocking(False)
    return listening


def turn_new_connections_away(listening: socket.socket) -> None:
    """Drops new handshakes. Those in progress, and connections not accepted yet, complete.

    Under SO_REUSEPORT each socket has an accept queue of its own, and closing the
    socket resets the connections in it. So new ones are dropped first: a client repeats
    its SYN after a second, and the kernel then gives it to another receiver on this
    port. Without such a filter (not on Linux), closing may reset a connection.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_SYN))
    listening.setsockopt(
        socket.SOL_SOCKET,
        _SO_ATTACH_FILTER,
        struct.pack("HL", len(_NO_SYN), ctypes.addressof(program)),
    )


async def serve_until_signal(
    app: Any,
    host: str,
    port: int,
    *,
    installation: Installation,
    draining: Callable[[], None],
    drain_seconds: float,
    **options: Any,
) -> None:
    """Serves an ASGI application until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        app,
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="error",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=math.ceil(drain_seconds),
        **{"http": HttpToolsProtocol} | options,
    )
    server = RoleServer(config)
    await run_until_signal(server, listening_socket(host, port, installation), draining)


async def run_until_signal(
    server: Serving, listening: socket.socket, draining: Callable[[], None]
) -> None:
    """Serves until SIGTERM or SIGINT, then ends without refusing a connection in progress.

    1. Call `draining` (not ready), and send `Connection: close` with every answer.
    2. Drop new connections, and accept those whose handshake is in progress.
    3. Close the socket, and answer the requests in flight within the server's time limit.
    """
    host, port, *_ = listening.getsockname()
    log.info("http_listens", host=host, port=port)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    serving = asyncio.create_task(server.serve([listening]))
    stopping = asyncio.create_task(ending.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    log.info("http_drains")
    draining()  # 1
    server.say_goodbye()
    await asyncio.sleep(DRAIN_NOTICE_SECONDS)
    turn_new_connections_away(listening)  # 2
    await asyncio.sleep(SETTLE_SECONDS)
    server.should_exit = True  # 3
    await serving
