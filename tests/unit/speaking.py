"""An HTTP client that sends exactly the given bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

DEADLINE = 60.0
QUIET = 0.6
"""How long a test waits to see that nothing comes."""


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def hear(self) -> tuple[int, dict[str, str], bytes]:
        """Reads the next answer."""
        async with asyncio.timeout(DEADLINE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.split("\r\n")[:-2]
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
            }
            return (
                int(status.split()[1]),
                headers,
                await self._reader.readexactly(int(headers["content-length"])),
            )

    async def hear_the_end(self) -> bytes:
        """Reads everything that comes before the connection ends."""
        async with asyncio.timeout(DEADLINE):
            rest = b""
            try:
                while chunk := await self._reader.read(65536):
                    rest += chunk
            except ConnectionResetError:
                pass
            return rest

    async def hear_some(self, until: bytes) -> bytes:
        """Reads everything up to these bytes."""
        async with asyncio.timeout(DEADLINE):
            return await self._reader.readuntil(until)

    def say_no_more(self) -> None:
        self._writer.write_eof()

    async def hears_nothing(self) -> bool:
        try:
            async with asyncio.timeout(QUIET):
                await self._reader.read(1)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


@pytest.fixture(autouse=True)
def receivers_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes servers check often whether they are to end, so that tests need not wait for them."""
    monkeypatch.setattr("connectors.webhooks.server._LOOK_SECONDS", 0.01)
