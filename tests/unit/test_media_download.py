import asyncio
import contextlib
import errno
import hashlib
import os
import socket
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpcore
import pytest

from connectors.media.addresses import WrongAllowedHost, allowed_hosts, is_public
from connectors.media.download import (
    LONGEST_RETRY_AFTER_SECONDS,
    Downloader,
    NotThere,
    Refused,
    sweep_spool,
)
from schemas.outcomes import Unavailable

MAX_BYTES = 100_000
PIECE_BYTES = 65_536
PUBLIC = "93.184.216.34"


class LoopbackOnly(httpcore.AnyIOBackend):
    """Never dials out: a public address is noted, then refused."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    async def connect_tcp(
        self, host: str, port: int, *arguments: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append(host)
        if host != "127.0.0.1":
            raise httpcore.ConnectError("not dialled in a test")
        return await super().connect_tcp(host, port, *arguments, **options)


def answer(status: int, headers: str = "", body: bytes = b"") -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}".encode()
        + (b"" if "transfer-encoding" in headers else b"content-length: %d\r\n" % len(body))
        + b"\r\n"
        + body
    )


@dataclass
class Server:
    """Answers each path with its bytes; `asked` is what came: (host, path, whether with credentials)."""

    port: int = 0
    pieces: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, bool]] = field(default_factory=list)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), 0.02)

    async def end(self) -> None:
        self._over.set()
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ")[1]
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            self.asked.append((headers["host"].partition(":")[0], path, "x-api-key" in headers))
            writer.write(self.answers[path])
            await writer.drain()
            for _ in range(self.pieces if path == "/large" else 0):
                writer.write(b"y" * PIECE_BYTES)
                await writer.drain()
            while path == "/drip" and not writer.is_closing():
                writer.write(b"x")
                await self._pause()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    known = Server()
    listening = await asyncio.start_server(known.serve_one, "127.0.0.1", 0)
    known.port = listening.sockets[0].getsockname()[1]
    try:
        yield known
    finally:
        listening.close()
        await known.end()


async def resolve(host: str, port: int) -> list[str]:
    known = {
        "files.test": ["127.0.0.1"],
        "other.test": ["127.0.0.1"],
        "inside.test": ["10.0.0.7"],
        "mixed.test": [PUBLIC, "192.168.1.1"],
        "nowhere.test": [],
    }
    if host in known:
        return known[host]
    if host == "unknown.test":
        raise OSError("no such name")
    # a literal address, in whatever notation: the system reads it, no name server is asked
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


def downloader(spool: Path, allowed: str = "", dials: LoopbackOnly | None = None) -> Downloader:
    return Downloader(
        allowed_private_hosts=allowed,
        spool_dir=spool,
        resolve=resolve,
        inner=dials or LoopbackOnly(),
    )


async def outcome(
    of: Downloader, url: str, *, deadline_seconds: float = 5.0, **options: Any
) -> object:
    """What became of it, as a value."""
    async with of as opened:
        try:
            got = await opened.fetch(
                url, max_bytes=MAX_BYTES, deadline_seconds=deadline_seconds, **options
            )
        except Refused as refused:
            return refused.reason, refused.status
        except NotThere:
            return "not there"
        except Unavailable as unavailable:
            return "unavailable", unavailable.retry_after
        return got


REFUSED = ("media_refused_address", None)

PRIVATE = [
    "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.1.2.3", "192.168.0.1", "172.16.0.1", "100.64.0.1", "0.0.0.0",
    "2130706433", "0x7f.1", "127.1", "[fe80::1]", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001::1]", "224.0.0.1", "168.63.129.16",
    "192.88.99.1", "255.255.255.255", "[fec0::1]", "[ff02::1]", "inside.test", "mixed.test", "nowhere.test",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
async def test_an_address_inside_the_network_is_refused_without_being_dialled(
    host: str, tmp_path: Path
) -> None:
    dials = LoopbackOnly()
    assert await outcome(downloader(tmp_path, dials=dials), f"https://{host}/file") == REFUSED
    assert dials.dialled == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://files.test/", "ftp://files.test/", "https://u:p@files.test/", "https://u@files.test/", "https://", "//files.test/x",
        "https://files.test:99999/", "https://files.test:x/", "https://files.test/a b", "https://files.test/a\r\nx: y", "https://files.test/ñ",
        "https://[::1/", "", "http://files.test/", f"http://{PUBLIC}/",
    ],
)  # fmt: skip
async def test_an_address_that_is_no_plain_https_address_is_refused(
    url: str, tmp_path: Path
) -> None:
    dials = LoopbackOnly()
    assert await outcome(downloader(tmp_path, dials=dials), url) == REFUSED
    assert dials.dialled == []


async def test_http_is_refused_at_another_port_than_the_allowed_one(
    server: Server, tmp_path: Path
) -> None:
    server.answers["/"] = answer(200, body=b"hello")
    assert (
        await outcome(
            downloader(tmp_path, f"files.test:{server.port + 1}"),
            f"http://files.test:{server.port}/",
        )
        == REFUSED
    )


async def test_a_host_that_is_allowed_at_one_port_is_refused_at_another(tmp_path: Path) -> None:
    assert (
        await outcome(downloader(tmp_path, "inside.test:9000"), "https://inside.test/") == REFUSED
    )


async def test_a_public_address_is_the_one_that_is_dialled(tmp_path: Path) -> None:
    dials = LoopbackOnly()
    assert await outcome(downloader(tmp_path, dials=dials), f"https://{PUBLIC}/file") == (
        "unavailable",
        1.0,
    )
    assert dials.dialled == [PUBLIC]


async def test_a_name_that_answers_otherwise_the_second_time_is_dialled_as_it_was_checked(
    tmp_path: Path,
) -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    dials = LoopbackOnly()

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    guarded = Downloader(
        allowed_private_hosts="", spool_dir=tmp_path, resolve=rebinding, inner=dials
    )
    async with guarded:
        with pytest.raises(Unavailable):
            await guarded.fetch("https://rebind.test/", max_bytes=MAX_BYTES, deadline_seconds=5)
        assert (dials.dialled, len(answers)) == ([PUBLIC], 1)
        with pytest.raises(Refused):
            await guarded.fetch("https://rebind.test/", max_bytes=MAX_BYTES, deadline_seconds=5)
    assert dials.dialled == [PUBLIC]


async def test_a_name_that_does_not_resolve_is_the_worlds_trouble(tmp_path: Path) -> None:
    assert await outcome(downloader(tmp_path), "https://unknown.test/") == ("unavailable", 1.0)


async def test_a_file_is_spooled_with_its_hash_its_head_and_its_type(
    server: Server, tmp_path: Path
) -> None:
    body = bytes(range(256)) * 40
    server.answers["/file"] = answer(200, "content-type: audio/ogg\r\n", body)
    got: Any = await outcome(
        downloader(tmp_path / "spool", f"FILES.test:{server.port}"),
        f"http://files.test:{server.port}/file#part",
    )
    assert (got.bytes, got.sha256, got.content_type, got.head) == (
        len(body),
        hashlib.sha256(body).hexdigest(),
        "audio/ogg",
        body[:4096],
    )
    assert got.path.read_bytes() == body
    got.discard()
    assert list((tmp_path / "spool").iterdir()) == []


CHUNKED_OVER = b"".join(b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(3)) + b"0\r\n\r\n"

ANSWERS: list[tuple[str, bytes, object]] = [
    ("not found", answer(404), "not there"),
    ("no key", answer(401), ("media_forbidden", 401)),
    ("forbidden", answer(403), ("media_forbidden", 403)),
    ("gone", answer(410), ("media_gone", 410)),
    ("broken server", answer(500), ("unavailable", 1.0)),
    ("overloaded server", answer(503, "retry-after: 7\r\n"), ("unavailable", 7.0)),
    ("slow down", answer(429, "retry-after: 9\r\n"), ("unavailable", 9.0)),
    ("slow down for a day", answer(429, "retry-after: 86400\r\n"), ("unavailable", LONGEST_RETRY_AFTER_SECONDS)),
    ("slow down until a date", answer(429, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n"), ("unavailable", 1.0)),
    ("slow down, in no number", answer(429, "retry-after: ²\r\n".encode().decode("latin-1")), ("unavailable", 1.0)),
    ("slow down, in what Python calls a digit", answer(429).replace(b"\r\n", b"\r\nretry-after: \xb2\r\n", 1), ("unavailable", 1.0)),
    ("a length in what Python calls a digit", b"HTTP/1.1 200 X\r\ncontent-length: \xb2\r\n\r\nx", ("unavailable", 1.0)),
    ("request timeout", answer(408), ("unavailable", 1.0)),
    ("teapot", answer(418), ("media_wrong_content", 418)),
    ("no content", answer(204), ("media_wrong_content", 204)),
    ("a part", answer(206, body=b"x"), ("media_wrong_content", 206)),
    ("redirect to nowhere", answer(302), ("media_wrong_content", 302)),
    ("empty file", answer(200), ("media_empty", None)),
    ("unasked gzip", answer(200, "content-encoding: gzip\r\n", b"abc"), ("media_wrong_content", 200)),
    ("declared too large", b"HTTP/1.1 200 X\r\ncontent-length: 99999999999\r\n\r\n", ("media_too_large", 200)),
    ("chunked too large", answer(200, "transfer-encoding: chunked\r\n", CHUNKED_OVER), ("media_too_large", None)),
    ("one byte too large", answer(200, "transfer-encoding: chunked\r\n", b"186a1\r\n" + b"x" * 100_001 + b"\r\n0\r\n\r\n"), ("media_too_large", None)),
    ("shorter than declared", b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nabc", ("unavailable", 1.0)),
    ("no HTTP", b"SSH-2.0-OpenSSH\r\n\r\n", ("unavailable", 1.0)),
    ("to metadata", answer(302, "location: http://169.254.169.254/latest/meta-data/\r\n"), REFUSED),
    ("to metadata, safely", answer(302, "location: https://169.254.169.254/latest/meta-data/\r\n"), REFUSED),
    ("to loopback", answer(307, "location: https://127.0.0.2/file\r\n"), REFUSED),
    ("to a name inside", answer(308, "location: //inside.test/file\r\n"), REFUSED),
    ("to a file", answer(302, "location: file:///etc/passwd\r\n"), REFUSED),
    ("to a user", answer(302, "location: https://u:p@files.test/\r\n"), REFUSED),
    ("to itself", answer(302, "location: /it\r\n"), REFUSED),
    ("to a broken address", answer(302, "location: https://[::1/\r\n"), REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
async def test_what_an_answer_means_for_the_file(
    given: bytes, expected: object, server: Server, tmp_path: Path
) -> None:
    server.answers["/it"] = given
    assert (
        await outcome(
            downloader(tmp_path, f"files.test:{server.port}"), f"http://files.test:{server.port}/it"
        )
        == expected
    )
    assert list(tmp_path.iterdir()) == [], "nothing is left in the spool"
    assert len(server.asked) <= 5, "hops are bounded"


async def test_a_file_of_exactly_the_limit_is_taken(server: Server, tmp_path: Path) -> None:
    server.answers["/it"] = answer(200, body=b"x" * MAX_BYTES)
    got: Any = await outcome(
        downloader(tmp_path, f"files.test:{server.port}"), f"http://files.test:{server.port}/it"
    )
    assert got.bytes == MAX_BYTES


async def test_a_key_follows_a_redirect_within_its_origin_and_never_to_another_and_back(
    server: Server, tmp_path: Path
) -> None:
    allowed = f"files.test:{server.port},other.test:{server.port}"
    server.answers |= {
        "/one": answer(302, "location: /two\r\n"),
        "/two": answer(302, f"location: http://other.test:{server.port}/three\r\n"),
        "/three": answer(200, body=b"hello"),
    }
    await outcome(
        downloader(tmp_path, allowed),
        f"http://files.test:{server.port}/one",
        headers={"x-api-key": "secret"},
    )
    assert server.asked == [
        ("files.test", "/one", True),
        ("files.test", "/two", True),
        ("other.test", "/three", False),
    ]


async def test_a_key_dropped_on_the_way_is_not_picked_up_again(
    server: Server, tmp_path: Path
) -> None:
    allowed = f"files.test:{server.port},other.test:{server.port}"
    server.answers |= {
        "/one": answer(302, f"location: http://other.test:{server.port}/two\r\n"),
        "/two": answer(302, f"location: http://files.test:{server.port}/three\r\n"),
        "/three": answer(200, body=b"hello"),
    }
    await outcome(
        downloader(tmp_path, allowed),
        f"http://files.test:{server.port}/one",
        headers={"x-api-key": "secret"},
    )
    assert server.asked == [
        ("files.test", "/one", True),
        ("other.test", "/two", False),
        ("files.test", "/three", False),
    ]


async def test_the_host_in_the_address_is_the_one_that_is_asked_for(
    server: Server, tmp_path: Path
) -> None:
    server.answers["/it?a=%C3%B1&b"] = answer(200, body=b"x")
    await outcome(
        downloader(tmp_path, f"files.test:{server.port}"),
        f"http://files.test:{server.port}/it?a=%C3%B1&b#part",
    )
    assert server.asked == [("files.test", "/it?a=%C3%B1&b", False)]


async def test_a_large_file_goes_to_the_disk_and_not_into_memory(
    server: Server, tmp_path: Path
) -> None:
    server.pieces, size = 800, 800 * PIECE_BYTES
    server.answers["/large"] = b"HTTP/1.1 200 X\r\ncontent-length: %d\r\n\r\n" % size
    tracemalloc.start()
    try:
        async with downloader(tmp_path, f"files.test:{server.port}") as opened:
            got = await opened.fetch(
                f"http://files.test:{server.port}/large", max_bytes=size, deadline_seconds=60
            )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (got.bytes, peak < size // 8) == (size, True)


async def test_a_server_that_drips_is_left_at_the_deadline(server: Server, tmp_path: Path) -> None:
    server.answers["/drip"] = b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n"
    got = await outcome(
        downloader(tmp_path, f"files.test:{server.port}"),
        f"http://files.test:{server.port}/drip",
        deadline_seconds=0.4,
    )
    assert got == ("unavailable", 1.0)
    assert list(tmp_path.iterdir()) == []


async def test_a_server_that_nobody_listens_at_is_the_worlds_trouble(tmp_path: Path) -> None:
    gone = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    await gone.wait_closed()
    assert await outcome(
        downloader(tmp_path, f"files.test:{port}"), f"http://files.test:{port}/"
    ) == ("unavailable", 1.0)


async def test_a_full_disk_is_the_worlds_trouble_and_leaves_no_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, descriptor: int, mode: str) -> None:
            self._file = open(descriptor, mode)

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("connectors.media.download.os.fdopen", Full)
    server.answers["/it"] = answer(200, body=b"hello")
    assert await outcome(
        downloader(tmp_path, f"files.test:{server.port}"), f"http://files.test:{server.port}/it"
    ) == ("unavailable", 5.0)
    assert list(tmp_path.iterdir()) == []


def test_only_old_files_of_the_spool_are_swept(tmp_path: Path) -> None:
    for name in ("tmpold", "tmpnew", "other"):
        (tmp_path / name).write_bytes(b"x")
    os.utime(tmp_path / "tmpold", (0, 0))
    os.utime(tmp_path / "other", (0, 0))
    assert sweep_spool(tmp_path, older_than_seconds=60) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "tmpnew"]
    assert sweep_spool(tmp_path / "not made yet", older_than_seconds=60) == 0


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"]
)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "64:ff9b:1::a00:1",
        "2002:a00:1::",
        "100.127.0.1",
        "::",
        "240.0.0.1",
        "198.18.0.1",
    ],
)
def test_an_address_that_hides_a_private_one_is_private(address: str) -> None:
    assert not is_public(address)


def test_allowed_hosts_are_pairs_of_host_and_port() -> None:
    assert allowed_hosts(" Files.test:9000, [::1]:80 ,") == {("files.test", 9000), ("::1", 80)}
    assert allowed_hosts("") == frozenset()


@pytest.mark.parametrize("setting", ["files.test", "files.test:", "files.test:http", "10.0.0.0/8"])
def test_an_allowed_host_without_a_port_is_refused_with_the_name_of_the_setting(
    setting: str,
) -> None:
    with pytest.raises(WrongAllowedHost, match="SENSORIUM_MEDIA__ALLOWED_PRIVATE_HOSTS"):
        allowed_hosts(setting)
