"""How a role serves HTTP: its own socket, its own end."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

DRAIN_NOTICE_SECONDS = 0.5
"""Between "not ready" and closing the door: connections that were on their way are still taken."""


class RoleServer(uvicorn.Server):
    """A server that leaves signals to its role."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening_socket(host: str, port: int) -> socket.socket:
    """Shared with others of the same role on this machine (SO_REUSEPORT): one can be replaced while another answers."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((host, port))
    listening.listen(2048)
    listening.setblocking(False)
    return listening


async def serve_until_told(app: Any, host: str, port: int, *, draining: Callable[[], None], drain_seconds: float, **options: Any) -> None:
    """Serves until SIGTERM or SIGINT; then calls `draining`, answers what is in flight, and returns."""
    config = uvicorn.Config(
        app,
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=int(drain_seconds),
        **options,
    )
    server = RoleServer(config)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    serving = asyncio.create_task(server.serve(sockets=[listening_socket(host, port)]))
    told = asyncio.create_task(ending.wait())
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    draining()
    await asyncio.sleep(DRAIN_NOTICE_SECONDS)
    server.should_exit = True
    await serving
