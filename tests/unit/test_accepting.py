import asyncio
import errno
import socket
from typing import Any

import pytest
import uvloop

from storage import accepting
from storage.accepting import Acceptor
from tests.integration.waiting import until


class Noted(asyncio.Protocol):
    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Noted.made += 1


def test_all_that_wait_are_accepted_in_one_turn_of_a_busy_loop() -> None:
    """uvloop's own server accepts one per turn.

    With turns of 20 ms, the last of 100 would wait for two seconds.
    """

    async def run() -> int:
        Noted.made = 0
        with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
            listening.setblocking(False)
            clients = [socket.create_connection(listening.getsockname()) for _ in range(100)]
            acceptor = Acceptor(listening, Noted)
            for _ in range(5):
                await asyncio.sleep(0)
            made = Noted.made
            acceptor.close()
            await acceptor.wait_closed()
            for client in clients:
                client.close()
            return made

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) == 100


class Full:
    """A listening socket of a process that has no room for some time."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.refusals = 1

    def fileno(self) -> int:
        return self._real.fileno()

    def accept(self) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._real.accept()


async def test_without_room_it_pauses_and_then_accepts_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.05)
    Noted.made = 0
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        full: Any = Full(listening)
        acceptor = Acceptor(full, Noted)
        with socket.create_connection(listening.getsockname()):
            await until(lambda: Noted.made == 1)
            assert full.refusals == 0
        acceptor.close()
        await acceptor.wait_closed()
