import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.media.download import LONGEST_RETRY_AFTER_SECONDS, Downloader
from schemas.fetching import FileGone
from schemas.outcomes import Unavailable
from tests.unit.file_servers import (
    MAX_BYTES,
    PIECE_BYTES,
    PUBLIC,
    REFUSED,
    LoopbackOnly,
    Server,
    answer,
    content,
    downloader,
    outcome,
    serving,
)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as known:
        yield known


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
        "https://files.test:99999/", "https://files.test:x/", "https://a b.test/", "https://a%00b.test/", "https://[::1/", "", "http://files.test/",
        f"http://{PUBLIC}/", "https://files.test/\ud800",
    ],
)  # fmt: skip
async def test_an_address_that_is_not_a_plain_https_address_is_refused(
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
        "media",
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
        with pytest.raises(FileGone):
            await guarded.fetch("https://rebind.test/", max_bytes=MAX_BYTES, deadline_seconds=5)
    assert dials.dialled == [PUBLIC]


async def test_a_name_that_does_not_resolve_is_the_worlds_trouble(tmp_path: Path) -> None:
    assert await outcome(downloader(tmp_path), "https://unknown.test/") == ("media", 1.0)


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
    assert list((tmp_path / "spool").iterdir()) == [], "a spooled file has no name"
    assert content(got) == body


CHUNKED_OVER = b"".join(b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(3)) + b"0\r\n\r\n"

ANSWERS: list[tuple[str, bytes, object]] = [
    ("not found", answer(404), "not there"),
    ("no key", answer(401), ("media_forbidden", 401)),
    ("forbidden", answer(403), ("media_forbidden", 403)),
    ("gone", answer(410), ("media_gone", 410)),
    ("broken server", answer(500), ("media", 1.0)),
    ("overloaded server", answer(503, "retry-after: 7\r\n"), ("media", 7.0)),
    ("slow down", answer(429, "retry-after: 9\r\n"), ("media", 9.0)),
    ("slow down for a day", answer(429, "retry-after: 86400\r\n"), ("media", LONGEST_RETRY_AFTER_SECONDS)),
    ("slow down until a date", answer(429, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n"), ("media", 1.0)),
    ("slow down, in no number", answer(429, "retry-after: ²\r\n".encode().decode("latin-1")), ("media", 1.0)),
    ("slow down, in what Python calls a digit", answer(429).replace(b"\r\n", b"\r\nretry-after: \xb2\r\n", 1), ("media", 1.0)),
    ("a length in what Python calls a digit", b"HTTP/1.1 200 X\r\ncontent-length: \xb2\r\n\r\nx", ("media", 1.0)),
    ("request timeout", answer(408), ("media", 1.0)),
    ("teapot", answer(418), ("media_wrong_content", 418)),
    ("no content", answer(204), ("media_wrong_content", 204)),
    ("a part", answer(206, body=b"x"), ("media_wrong_content", 206)),
    ("redirect to nowhere", answer(302), ("media_wrong_content", 302)),
    ("empty file", answer(200), ("media_empty", None)),
    ("declared too large", b"HTTP/1.1 200 X\r\ncontent-length: 99999999999\r\n\r\n", ("media_too_large", 200)),
    ("chunked too large", answer(200, "transfer-encoding: chunked\r\n", CHUNKED_OVER), ("media_too_large", None)),
    ("one byte too large", answer(200, "transfer-encoding: chunked\r\n", b"186a1\r\n" + b"x" * 100_001 + b"\r\n0\r\n\r\n"), ("media_too_large", None)),
    ("shorter than declared", b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nabc", ("media", 1.0)),
    ("no HTTP", b"SSH-2.0-OpenSSH\r\n\r\n", ("media", 1.0)),
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
    assert len(content(got)) == MAX_BYTES


async def test_a_key_follows_a_redirect_within_its_origin_and_never_to_another_and_back(
    server: Server, tmp_path: Path
) -> None:
    allowed = f"files.test:{server.port},other.test:{server.port}"
    server.answers |= {
        "/one": answer(302, "location: /two\r\n"),
        "/two": answer(302, f"location: http://other.test:{server.port}/three\r\n"),
        "/three": answer(200, body=b"hello"),
    }
    got = await outcome(
        downloader(tmp_path, allowed),
        f"http://files.test:{server.port}/one",
        headers={"x-api-key": "secret"},
    )
    content(got)
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
    got = await outcome(
        downloader(tmp_path, allowed),
        f"http://files.test:{server.port}/one",
        headers={"x-api-key": "secret"},
    )
    content(got)
    assert server.asked == [
        ("files.test", "/one", True),
        ("other.test", "/two", False),
        ("files.test", "/three", False),
    ]


async def test_the_host_in_the_address_is_the_one_that_is_asked_for(
    server: Server, tmp_path: Path
) -> None:
    server.answers["/it?a=%C3%B1&b"] = answer(200, body=b"x")
    got = await outcome(
        downloader(tmp_path, f"files.test:{server.port}"),
        f"http://files.test:{server.port}/it?a=%C3%B1&b#part",
    )
    content(got)
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
    got.discard()
    assert (got.bytes, peak < size // 8) == (size, True)


async def test_a_server_that_drips_is_left_at_the_deadline(server: Server, tmp_path: Path) -> None:
    server.answers["/drip"] = b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n"
    got = await outcome(
        downloader(tmp_path, f"files.test:{server.port}"),
        f"http://files.test:{server.port}/drip",
        deadline_seconds=0.4,
    )
    assert got == ("media", 1.0)
    assert list(tmp_path.iterdir()) == []


async def test_a_server_that_nobody_listens_at_is_the_worlds_trouble(tmp_path: Path) -> None:
    gone = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    await gone.wait_closed()
    assert await outcome(
        downloader(tmp_path, f"files.test:{port}"), f"http://files.test:{port}/"
    ) == ("media", 1.0)
