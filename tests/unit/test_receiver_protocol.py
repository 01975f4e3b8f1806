"""The console's and the receiver's HTTP protocol have the same limits for the same clients."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from connectors.webhooks.answers import text_reply
from connectors.webhooks.incoming import CLIENT_LEFT, Incoming
from connectors.webhooks.server import ReceiverServer
from streams.roles.http import listening_socket
from streams.roles.protocol import (
    MAX_FIELD_BYTES,
    MAX_PIPELINED,
    AddressLimit,
    BoundedProtocol,
)
from tests.unit.speaking import DEADLINE, connected, receivers_end_at_once

__all__ = ["receivers_end_at_once"]
SOON = 0.2
LATE = 3600.0
INSTALLATION = frozenset({"test"})
_kind = ""


@pytest.fixture(autouse=True, params=["console", "receiver"])
def kind(request: pytest.FixtureRequest) -> str:
    """The protocol that the test uses."""
    global _kind
    _kind = request.param
    return _kind


class Served:
    """A server whose application reads the body, waits at the gate, and answers with what it saw.

    If it is told to be early, it does not read the body.
    """

    def __init__(self) -> None:
        self.port = 0
        self.early = False
        self.padding = b""
        self.gate = asyncio.Event()
        self.gate.set()
        self.bodies: list[bytes] = []
        self.headers: list[list[tuple[bytes, bytes]]] = []
        self.gone = 0
        self.refusals: list[int] = []
        self.running = 0
        self.connections: Collection[Any] = ()
        self.tasks: set[asyncio.Task[Any]] = set()

    async def __call__(
        self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Any
    ) -> None:
        self.running += 1
        body, more = b"", not self.early
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            body, more = body + message["body"], message["more_body"]
        await self.gate.wait()
        self.bodies.append(body)
        self.headers.append(scope["headers"])
        content = scope["path"].encode() + self.padding
        fields = [(b"content-length", b"%d" % len(content))]
        status = 413 if self.early else 200
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": content})

    def begin(self, request: Incoming) -> None:
        self.running += 1
        if self.early:
            self._answer(request, b"", 413)
        else:
            request.taker = _Reader(self, request)

    def refused(self, status: int) -> None:
        self.refusals.append(status)

    def passes(self, request: Incoming, body: bytes) -> None:
        task = asyncio.create_task(self._wait(request, body))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _wait(self, request: Incoming, body: bytes) -> None:
        await self.gate.wait()
        self._answer(request, body, 200)

    def _answer(self, request: Incoming, body: bytes, status: int) -> None:
        self.bodies.append(body)
        self.headers.append(
            [(name.encode(), value.encode()) for name, value in request.headers.items()]
        )
        request.answer(text_reply(status, request.path.encode() + self.padding))


class _Reader:
    """How the receiver's side of the server handles one request."""

    def __init__(self, served: Served, request: Incoming) -> None:
        self._served, self._request, self._body = served, request, b""

    def more(self, chunk: bytes) -> None:
        self._body += chunk

    def whole(self) -> None:
        self._served.passes(self._request, self._body)

    def late(self) -> None:
        raise AssertionError("no deadline was set")

    def gone(self, status: int = CLIENT_LEFT) -> None:
        self._served.gone += 1


@asynccontextmanager
async def serving(
    head_seconds: float = LATE, max_connections: int = 100, addresses: AddressLimit | None = None
) -> AsyncIterator[Served]:
    served = Served()
    if _kind == "receiver":
        async with _receiver(served, head_seconds, max_connections):
            yield served
    else:
        async with _console(served, head_seconds, max_connections, addresses):
            yield served
    served.gate.set()
    if served.tasks:
        await asyncio.wait(served.tasks, timeout=DEADLINE)


@asynccontextmanager
async def _receiver(
    served: Served, head_seconds: float, max_connections: int
) -> AsyncIterator[None]:
    server = ReceiverServer(
        served,
        head_seconds=head_seconds,
        max_connections=max_connections,
        drain_seconds=0,
    )
    listening = listening_socket("127.0.0.1", 0, INSTALLATION)
    served.port, served.connections = listening.getsockname()[1], server.connections
    running = asyncio.create_task(server.serve([listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def _console(
    served: Served, head_seconds: float, max_connections: int, addresses: AddressLimit | None
) -> AsyncIterator[None]:
    loop, state = asyncio.get_running_loop(), ServerState()
    config = Config(served, ws="none", lifespan="off", access_log=False, log_config=None)
    server = await loop.create_server(
        partial(
            BoundedProtocol,
            config,
            state,
            {},
            _loop=loop,
            head_seconds=head_seconds,
            max_connections=max_connections,
            addresses=addresses,
        ),
        "127.0.0.1",
        0,
    )
    served.port = server.sockets[0].getsockname()[1]
    served.connections, served.tasks = state.connections, state.tasks
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        served.gate.set()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


def post(path: str, body: bytes = b"", *more: str) -> bytes:
    return (
        "\r\n".join(
            [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *more, "", ""]
        ).encode()
        + body
    )


CHUNKED = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


# --- time


@pytest.mark.parametrize("begun", [b"", b"P", b"POST /x HTTP/1.1\r\nHost: x\r\nContent-"])
async def test_a_head_that_does_not_come_is_408_and_the_end(begun: bytes) -> None:
    async with serving(SOON) as served, connected(served.port) as client:
        await client.say(begun)
        status, headers, body = await client.hear()
        assert (status, headers["connection"], headers["content-type"]) == (
            408,
            "close",
            "application/problem+json",
        )
        assert json.loads(body) == {
            "type": "about:blank",
            "title": "Request Timeout",
            "status": 408,
        }
        assert await client.hear_the_end() == b""


async def test_trickling_a_head_does_not_prolong_its_time() -> None:
    async with serving(SOON) as served, connected(served.port) as client:
        with pytest.raises(ConnectionError):
            while True:
                await client.say(b"POST /x HTTP/1.1\r\n" if served.running else b"X")
                await asyncio.sleep(0.02)
        assert served.running == 0


async def test_an_idle_connection_is_left_in_peace_and_the_next_head_has_its_own_time() -> None:
    async with serving(SOON) as served, connected(served.port) as client:
        await client.say(post("/1"))
        assert (await client.hear())[0] == 200
        assert await client.hears_nothing()
        await client.say(post("/2"))
        assert (await client.hear())[0] == 200
        await client.say(b"POST /3")
        assert (await client.hear())[0] == 408


async def test_a_request_that_is_being_answered_is_not_late() -> None:
    async with serving(SOON) as served, connected(served.port) as client:
        served.gate.clear()
        await client.say(post("/1") + b"POST /2 HTTP/1.1\r\nHos")
        assert await client.hears_nothing()
        served.gate.set()
        assert (await client.hear())[2] == b"/1"
        assert (await client.hear())[0] == 408


async def test_the_rest_of_a_body_that_was_answered_early_is_thrown_away_and_the_connection_serves_on() -> (
    None
):
    async with serving(SOON) as served, connected(served.port) as client:
        served.early = True
        await client.say(post("/1", b"x" * 1000)[:-500])
        assert (await client.hear())[0] == 413
        served.early = False
        await client.say(b"x" * 500)
        assert await client.hears_nothing()
        await client.say(post("/2", b"y"))
        assert (await client.hear())[::2] == (200, b"/2")
        assert served.bodies == [b"", b"y"]


@pytest.mark.parametrize("trickling", [True, False])
async def test_a_body_that_was_answered_early_and_never_ends_ends_the_connection(
    trickling: bool,
) -> None:
    async with serving(SOON) as served, connected(served.port) as client:
        served.early = True
        await client.say(post("/1", b"x" * 100_000)[:-90_000])
        assert (await client.hear())[0] == 413
        async with asyncio.timeout(DEADLINE):
            while trickling and served.connections:
                await client.say(b"x")
                await asyncio.sleep(0.02)
        assert await client.hear_the_end() == b""


# --- room


@pytest.mark.parametrize(
    "request_",
    [
        post("/" + "x" * MAX_FIELD_BYTES),
        post("/", b"", "X-Long: " + "x" * MAX_FIELD_BYTES),
        post("/", b"", *[f"X-{n}: {'x' * 100}" for n in range(MAX_FIELD_BYTES // 100)]),
    ],
    ids=["target", "one header", "many headers"],
)
async def test_a_head_beyond_its_bound_is_431_and_the_end(request_: bytes) -> None:
    async with serving() as served, connected(served.port) as client:
        await client.say(request_)
        status, headers, body = await client.hear()
        assert (status, headers["connection"], json.loads(body)["title"]) == (
            431,
            "close",
            "Request Header Fields Too Large",
        )
        assert await client.hear_the_end() == b""
        assert served.running == 0


async def test_a_head_just_within_its_bound_is_taken() -> None:
    async with serving() as served, connected(served.port) as client:
        await client.say(post("/", b"", "X-Long: " + "x" * (MAX_FIELD_BYTES - 100)))
        assert (await client.hear())[0] == 200


@pytest.mark.parametrize(
    "endless", [b"X-More: " + b"x" * 10_000, b"x" * 1_000], ids=["new", "going on"]
)
@pytest.mark.parametrize(
    "before",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Endless: ",
        CHUNKED + b"0\r\nX-Endless: ",
        CHUNKED + b"1;x=",
    ],
    ids=["head", "trailer", "extension"],
)
async def test_fields_without_end_end_the_connection(before: bytes, endless: bytes) -> None:
    async with serving() as served, connected(served.port) as client:
        await client.say(before)
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                await client.say(endless)
                await asyncio.sleep(0)
        await until(lambda: not served.tasks)
        assert served.bodies == []


async def test_trailers_are_not_headers() -> None:
    async with serving() as served, connected(served.port) as client:
        await client.say(CHUNKED + b"2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
        assert (await client.hear())[0] == 200
        assert served.bodies == [b"{}"]
        assert [name for name, _ in served.headers[0]] == [b"host", b"transfer-encoding"]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as served, connected(served.port) as client:
        await client.say(b"".join(post(f"/{n}", b"x" * n * 1000) for n in range(40)))
        assert [(await client.hear())[2] for _ in range(40)] == [
            f"/{n}".encode() for n in range(40)
        ]
        assert [len(body) for body in served.bodies] == [n * 1000 for n in range(40)]


async def test_too_many_pipelined_requests_end_the_connection_after_those_that_were_taken() -> None:
    async with serving() as served, connected(served.port) as client:
        served.gate.clear()
        await client.say(b"".join(post(f"/{n}") for n in range(1000)))
        await until(lambda: served.running == 1)
        assert await client.hears_nothing()
        served.gate.set()
        answered = (await client.hear_the_end()).count(b"HTTP/1.1 200 OK")
        assert answered == MAX_PIPELINED + 1 == served.running


@pytest.mark.parametrize("kind", ["console"], indirect=True)
async def test_an_address_with_too_many_connections_is_refused_until_one_of_its_own_ends() -> None:
    async with serving(addresses=AddressLimit(2)) as served, connected(served.port) as first:
        async with connected(served.port), connected(served.port) as third:
            status, headers, _ = await third.hear()
            assert (status, headers["retry-after"], headers["connection"]) == (429, "1", "close")
            await first.say(post("/1"))
            assert (await first.hear())[0] == 200
        await until(lambda: len(served.connections) == 1)
        async with connected(served.port) as fourth:
            await fourth.say(post("/4"))
            assert (await fourth.hear())[0] == 200


async def test_beyond_the_most_connections_it_is_503_until_one_ends() -> None:
    async with serving(max_connections=2) as served, connected(served.port) as first:
        async with connected(served.port) as second:
            await second.say(post("/2"))
            assert (await second.hear())[0] == 200
            async with connected(served.port) as third:
                status, headers, _ = await third.hear()
                assert (status, headers["retry-after"], headers["connection"]) == (
                    503,
                    "1",
                    "close",
                )
                assert await third.hear_the_end() == b""
        await until(lambda: len(served.connections) == 1)
        async with connected(served.port) as fourth:
            for client in (first, fourth):
                await client.say(post("/4"))
                assert (await client.hear())[0] == 200


async def test_who_does_not_take_its_answer_is_cut_off() -> None:
    async with serving(SOON) as served, connected(served.port) as client:
        served.padding = b"x" * 20_000_000
        await client.say(post("/1"))
        await until(lambda: served.running == 1)
        await until(lambda: not served.connections)
        assert len(await client.hear_the_end()) < 20_000_000


# --- what is no HTTP


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"POST /\xc3\xb1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_400_problem(nonsense: bytes) -> None:
    async with serving() as served, connected(served.port) as client:
        await client.say(nonsense)
        status, headers, body = await client.hear()
        assert (status, headers["connection"], json.loads(body)) == (
            400,
            "close",
            {"type": "about:blank", "title": "Bad Request", "status": 400},
        )
        assert await client.hear_the_end() == b""
        assert served.bodies == []


async def test_a_body_that_breaks_off_into_nonsense_is_400_and_never_accepted() -> None:
    async with serving() as served, connected(served.port) as client:
        await client.say(CHUNKED + b"2\r\n{}\r\n")
        await until(lambda: served.running == 1)
        await client.say(b"nonsense\r\n")
        assert (await client.hear())[0] == 400
        await until(lambda: served.gone == 1)


@pytest.mark.parametrize(
    "nonsense", [b"nonsense\r\n\r\n", CHUNKED + b"2\r\n{}\r\nnonsense\r\n"], ids=["head", "body"]
)
async def test_nonsense_behind_a_request_does_not_take_its_answer(nonsense: bytes) -> None:
    async with serving() as served, connected(served.port) as client:
        served.gate.clear()
        await client.say(post("/1", b"one") + post("/2", b"two") + nonsense)
        await until(lambda: served.running == 1)
        assert await client.hears_nothing()
        served.gate.set()
        assert [(await client.hear())[::2] for _ in range(2)] == [(200, b"/1"), (200, b"/2")]
        assert await client.hear_the_end() == b""
        assert served.bodies == [b"one", b"two"]


async def test_a_wish_to_upgrade_is_not_granted_and_does_not_keep_the_connection() -> None:
    async with serving(SOON) as served, connected(served.port) as client:
        await client.say(post("/1", b"", "Connection: Upgrade", "Upgrade: websocket"))
        assert (await client.hear())[0] == 200
        await client.say(b"\x81\x05hello")
        await client.hear_the_end()
        assert served.running == 1


async def test_a_path_is_decoded_once() -> None:
    async with serving() as served, connected(served.port) as client:
        await client.say(post("/webhooks/ycloud/a%2Fb%2541%FF%00?x=1"))
        assert (await client.hear())[2].decode() == "/webhooks/ycloud/a/b%41\ufffd\x00"


# --- the end


async def test_at_the_end_who_has_just_connected_is_still_answered() -> None:
    async with (
        serving() as served,
        connected(served.port) as silent,
        connected(served.port) as half,
        connected(served.port) as idle,
    ):
        await until(lambda: len(served.connections) == 3)
        await idle.say(post("/0"))
        assert (await idle.hear())[0] == 200
        await half.say(post("/1")[:20])
        await until(lambda: sum(c._phase == "head" for c in served.connections) == 1)
        for connection in list(served.connections):
            connection.shutdown()
        assert await idle.hear_the_end() == b""
        await half.say(post("/1")[20:])
        assert (await half.hear())[0] == 200
        await silent.say(post("/2"))
        assert (await silent.hear())[0] == 200


async def test_at_the_end_who_stays_silent_is_sent_away() -> None:
    async with serving() as served, connected(served.port) as client:
        await until(lambda: len(served.connections) == 1)
        next(iter(served.connections)).shutdown()
        assert await client.hear_the_end() == b""
