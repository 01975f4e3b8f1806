"""What clients do to the receiver's own server that its requests alone do not show."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.providers.catalogue import sign
from connectors.webhooks.server import ReceiverServer
from streams.roles.http import listening_socket
from tests.unit.receiving import SECRETS, TOKENS, Application
from tests.unit.speaking import DEADLINE, Client, connected

EVENT = b'{"type":"x","id":"e1"}'


class Receiving:
    """A receiver at a port, and what stands around it."""

    def __init__(self, app: Application, server: ReceiverServer, port: int) -> None:
        self.app, self.server, self.port = app, server, port

    @property
    def connection(self) -> Any:
        found = next(iter(self.server.connections), None)
        return found

    @property
    def held(self) -> int:
        return self.app.receiver._parts.budget.held


@asynccontextmanager
async def receiving(head_seconds: float = 5.0, **settings: Any) -> AsyncIterator[Receiving]:
    app = Application(**settings)
    server = ReceiverServer(
        app.receiver, head_seconds=head_seconds, max_connections=100, drain_seconds=0
    )
    listening = listening_socket("127.0.0.1", 0, frozenset({"test"}))
    port = listening.getsockname()[1]
    running = asyncio.create_task(server.serve([listening]))
    try:
        yield Receiving(app, server, port)
    finally:
        server.should_exit = True
        await running


async def until(condition: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


def head(body: bytes, *more: str, length: bool = True) -> bytes:
    """Of a signed delivery."""
    signed = sign("ycloud", SECRETS[0], body, int(time.time()))
    lines = [f"POST /webhooks/ycloud/{TOKENS['ycloud']} HTTP/1.1", "host: x", *more]
    lines += [f"{name}: {value}" for name, value in signed.items()]
    if length:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode()


def delivery(body: bytes = EVENT, *more: str) -> bytes:
    return head(body, *more) + body


# --- a wish for another protocol

UPGRADE = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAAB",
)


@pytest.mark.parametrize("is_split", [False, True], ids=["at once", "in two parts"])
async def test_a_body_behind_a_wish_for_http_2_is_stored_and_the_connection_serves_on(
    is_split: bool,
) -> None:
    async with receiving() as served, connected(served.port) as client:
        for _ in range(2):
            await client.say(head(EVENT, *UPGRADE))
            if is_split:
                await until(lambda: served.connection and served.connection._phase == "body")
            await client.say(EVENT)
            assert (await client.hear())[::2] == (200, b'{"accepted": 1}')
        assert [record.body for record in served.app.log.records] == [EVENT, EVENT]


async def test_a_chunked_body_behind_a_wish_for_http_2_is_stored() -> None:
    async with receiving() as served, connected(served.port) as client:
        start = head(EVENT, *UPGRADE, "Transfer-Encoding: chunked", length=False)
        await client.say(start + b"%x\r\n" % len(EVENT) + EVENT + b"\r\n0\r\n\r\n" + delivery())
        for _ in range(2):
            assert (await client.hear())[0] == 200
        assert [record.body for record in served.app.log.records] == [EVENT, EVENT]


async def test_wishes_for_http_2_that_were_sent_ahead_keep_their_bodies() -> None:
    async with receiving() as served, connected(served.port) as client:
        served.app.log.held = True
        await client.say(delivery(EVENT, *UPGRADE) * 3)
        await until(lambda: served.app.log.sent)
        served.app.log.held = False
        served.app.log.release()
        for _ in range(3):
            assert (await client.hear())[0] == 200
        assert [record.body for record in served.app.log.records] == [EVENT] * 3


@pytest.mark.parametrize("coding", ["gzip", "chunked, gzip", "chunked\r\nTransfer-Encoding: gzip"])
async def test_a_wish_for_http_2_before_a_body_without_a_clear_end_stores_nothing(
    coding: str,
) -> None:
    async with receiving() as served, connected(served.port) as client:
        start = head(EVENT, *UPGRADE, f"Transfer-Encoding: {coding}", length=False)
        await client.say(start + b"16\r\n" + EVENT + b"\r\n0\r\n\r\n")
        assert (await client.hear())[0] in (400, 415)
        await client.hear_the_end()
        assert served.app.log.sent == []


async def test_a_wish_for_another_protocol_does_not_keep_the_connection() -> None:
    async with receiving() as served, connected(served.port) as client:
        await client.say(delivery(EVENT, "Connection: Upgrade", "Upgrade: websocket"))
        status, headers, _ = await client.hear()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.hear_the_end() == b""
        assert [record.body for record in served.app.log.records] == [EVENT]
