"""Clients that do to the receiver's own server what its requests alone do not show."""

import asyncio
import gc
import http.client
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.providers.catalogue import sign
from connectors.webhooks import connection
from connectors.webhooks.delivery import Delivery
from connectors.webhooks.openapi import document
from connectors.webhooks.protocol import MAX_PIPELINED
from connectors.webhooks.server import ReceiverServer
from connectors.webhooks.wheel import NEVER
from streams.roles.http import listening_socket
from tests.unit.receiving import SECRETS, TOKENS, Application, count
from tests.unit.speaking import DEADLINE, connected, receivers_end_at_once

__all__ = ["receivers_end_at_once"]
EVENT = b'{"type":"x","id":"e1"}'


class Receiving:
    """A receiver at a port, with its parts."""

    def __init__(self, app: Application, server: ReceiverServer, port: int) -> None:
        self.app, self.server, self.port = app, server, port

    @property
    def connection(self) -> Any:
        return next(iter(self.server.connections), None)

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
    """The head of a signed delivery."""
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


# --- what is kept


def deliveries_alive() -> int:
    return sum(isinstance(each, Delivery) for each in gc.get_objects())


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_nothing_of_a_delivery_is_kept_after_its_answer(no_collector: None) -> None:
    async with receiving(max_body_bytes=1000) as served, connected(served.port) as client:
        for body, status in ((EVENT, 200), (b"x" * 2000, 413), (EVENT, 200)):
            await client.say(delivery(body))
            assert (await client.hear())[0] == status
            await until(lambda: not served.app.log.waiting)
            assert deliveries_alive() == 0
        assert len(served.server.connections) == 1


async def test_nothing_of_a_delivery_is_kept_when_its_client_has_left(no_collector: None) -> None:
    async with receiving() as served:
        async with connected(served.port) as client:
            await client.say(delivery()[:-5])
            await until(lambda: served.held)
        await until(lambda: not served.server.connections)
        assert (served.held, deliveries_alive()) == (0, 0)


async def test_bodies_that_were_sent_ahead_have_a_bound_for_all_connections_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "MAX_EARLY_BYTES", 1000)
    async with (
        receiving() as served,
        connected(served.port) as first,
        connected(served.port) as second,
    ):
        served.app.log.held = True
        within = b'{"type":"x","id":"e2","p":"%s"}' % (b"x" * 500)
        for client, number in ((first, 1), (second, 2)):
            await client.say(delivery() + delivery(within))
            await until(lambda number=number: len(served.app.log.sent) == number)
        served.app.log.held = False
        served.app.log.release()
        assert (await second.hear_the_end()).count(b'{"accepted": 1}') == 1
        assert [(await first.hear())[0] for _ in range(2)] == [200, 200]
        assert [record.body for record in served.app.log.records] == [EVENT, EVENT, within]
        assert served.server.early_bytes == 0


async def test_what_was_sent_ahead_is_let_go_when_the_client_leaves() -> None:
    async with receiving(ack_seconds=0.3) as served:
        async with connected(served.port) as client:
            served.app.log.held = True
            await client.say(delivery() * 3)
            await until(lambda: served.server.early_bytes)
        await until(lambda: not served.server.connections)
        assert served.server.early_bytes == 0


# --- who does not read


async def test_who_does_not_take_its_answers_gets_no_more_and_then_all_in_order() -> None:
    async with receiving() as served:
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", served.port))
            client.setblocking(False)
            await until(lambda: served.connection)
            transport = served.connection._transport
            inner = transport.get_extra_info("socket")
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            await loop.sock_sendall(client, b"GET /openapi.json HTTP/1.1\r\n\r\n" * 60 + delivery())
            await until(lambda: served.connection._untaken_until != NEVER)
            await until(lambda: served.connection._queue)
            high = transport.get_write_buffer_limits()[1]
            assert transport.get_write_buffer_size() < high + 2 * len(document()) + 2000
            assert served.app.log.sent == []
            heard = b""
            async with asyncio.timeout(DEADLINE):
                while b'{"accepted": 1}' not in heard[-1000:]:
                    heard += await loop.sock_recv(client, 1 << 20)
        assert heard.count(b"HTTP/1.1 200 OK") == 61


async def test_one_read_begins_a_bounded_number_of_requests() -> None:
    async with receiving() as served, connected(served.port) as client:
        await client.say(b"GET /livez HTTP/1.1\r\n\r\n" * 1000)
        heard = await client.hear_the_end()
        assert heard.count(b"HTTP/1.1 200 OK") == MAX_PIPELINED + 1
        assert heard.count(b"HTTP/1.1 400 Bad Request") == 1


# --- an answer before the end of the body


@pytest.mark.parametrize("ends", ["by itself", "by the client's wish", "while draining"])
async def test_an_early_answer_reaches_who_is_still_sending(ends: str) -> None:
    async with receiving() as served:
        if ends == "while draining":
            served.server.say_goodbye()

        def status() -> int:
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE)
            headers = {"connection": "close"} if ends == "by the client's wish" else {}
            path = f"/webhooks/ycloud/{TOKENS['ycloud']}"
            try:
                connection.request("POST", path, b"x" * 6_000_000, headers)
                return connection.getresponse().status
            finally:
                connection.close()

        assert await asyncio.to_thread(status) == 413
        await until(lambda: not served.server.connections)


async def test_a_connection_that_closes_after_an_early_answer_does_so_when_the_body_is_over() -> (
    None
):
    async with receiving(max_body_bytes=1000) as served, connected(served.port) as client:
        whole = delivery(b"x" * 2000, "Connection: close")
        await client.say(whole[:-500])
        assert (await client.hear())[0] == 413
        assert await client.hears_nothing()
        await client.say(whole[-500:])
        assert await client.hear_the_end() == b""


# --- what is broken off


async def test_a_broken_chunk_is_one_answer_counted_as_such_and_holds_nothing() -> None:
    before = [count(*each) for each in (("ycloud", 400), ("ycloud", 499), ("none", 400))]
    async with receiving() as served, connected(served.port) as client:
        await client.say(head(EVENT, "Transfer-Encoding: chunked", length=False) + b"3\r\nabc\r\n")
        await until(lambda: served.held == 3)
        await client.say(b"zz\r\n")
        await until(lambda: not served.held)
        assert (await client.hear())[0] == 400
        assert await client.hear_the_end() == b""
        assert served.app.log.sent == []
    after = [count(*each) for each in (("ycloud", 400), ("ycloud", 499), ("none", 400))]
    assert [late - early for late, early in zip(after, before, strict=True)] == [1, 0, 0]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /livez", 408),
    ],
)
async def test_what_the_connection_refuses_by_itself_is_counted(said: bytes, status: int) -> None:
    before = count("none", status)
    async with receiving(head_seconds=0.2) as served, connected(served.port) as client:
        await client.say(said)
        assert (await client.hear())[0] == status
        await client.hear_the_end()
    assert count("none", status) == before + 1


@pytest.mark.parametrize(("version", "is_told"), [("1.0", False), ("1.1", True)])
async def test_only_http_1_1_is_told_to_continue(version: str, is_told: bool) -> None:
    async with receiving() as served, connected(served.port) as client:
        start = head(EVENT, "Expect: 100-continue").replace(b"HTTP/1.1", f"HTTP/{version}".encode())
        await client.say(start)
        await until(lambda: served.connection and served.connection._phase == "body")
        await client.say(EVENT)
        heard = await client.hear_some(b"accepted")
        assert (b"100 Continue" in heard) is is_told


# --- who says that nothing more comes


@pytest.mark.parametrize("number", [1, 2])
async def test_who_has_half_closed_is_answered_when_the_record_is_durable(number: int) -> None:
    async with receiving() as served, connected(served.port) as client:
        served.app.log.held = True
        await client.say(delivery() * number)
        client.say_no_more()
        await until(lambda: served.app.log.sent)
        assert await client.hears_nothing()
        served.app.log.held = False
        served.app.log.release()
        assert (await client.hear_the_end()).count(b'{"accepted": 1}') == number


async def test_who_half_closes_within_a_body_has_left() -> None:
    async with receiving() as served, connected(served.port) as client:
        await client.say(delivery()[:-5])
        await until(lambda: served.held)
        client.say_no_more()
        assert await client.hear_the_end() == b""
        await until(lambda: not served.server.connections)
        assert (served.held, served.app.log.sent) == (0, [])
