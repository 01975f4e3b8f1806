import asyncio
import contextlib
import gzip
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from connectors.media import exchange
from connectors.media.download import Downloaded, Downloader
from tests.unit.file_servers import (
    MAX_BYTES,
    REFUSED,
    LoopbackOnly,
    Server,
    answer,
    content,
    downloader,
    outcome,
    resolve,
    serving,
)

FIELD = Path(__file__).parents[1] / "field"
BODY = bytes(range(256)) * 200
WRONG = ("media_wrong_content", 200)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as known:
        yield known


async def fetched(server: Server, path: str, spool: Path, **options: object) -> object:
    """The bytes of the file at a path of the server, or the outcome of the download."""
    got = await outcome(
        downloader(spool, f"files.test:{server.port}"),
        f"http://files.test:{server.port}{path}",
        **options,  # type: ignore[arg-type]
    )
    return content(got) if isinstance(got, Downloaded) else got


# addresses

LINES = (FIELD / "addresses-with-spaces-and-accents/addresses.txt").read_text().splitlines()
WRITTEN = [line.removeprefix("{MEDIA}") for line in LINES if line.startswith("{MEDIA}")]


@pytest.mark.parametrize(
    "path", [*WRITTEN, "/a;v=1", "/a|b[c]\\d", '/"x"?q="y"', "/%zz/100%", "/a\tb\n"]
)
async def test_an_address_as_people_write_it_is_fetched_whole(
    path: str, server: Server, tmp_path: Path
) -> None:
    asked = {
        "/x/Foto de perfil.jpg": "/x/Foto%20de%20perfil.jpg",
        "/x/Menú año.jpg": "/x/Men%C3%BA%20a%C3%B1o.jpg",
        "/x/plano.jpg?nombre=José": "/x/plano.jpg?nombre=Jos%C3%A9",
        "/a;v=1": "/a;v=1",
        "/a|b[c]\\d": "/a|b[c]/d",
        '/"x"?q="y"': "/%22x%22?q=%22y%22",
        "/%zz/100%": "/%zz/100%",
        "/a\tb\n": "/ab",
    }[path]
    server.answers[asked] = answer(200, body=BODY)
    assert await fetched(server, path, tmp_path) == BODY


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/x/ubicación.jpg".encode(), "/x/ubicaci%C3%B3n.jpg"),
        ("/x/ubicación.jpg".encode("latin-1"), "/x/ubicaci%F3n.jpg"),
        (b"/x/con espacio.jpg", "/x/con%20espacio.jpg"),
        (b"x/a;b%20c", "/x/a;b%20c"),
        (b"/x/?q=\xc3\xb1", "/x/?q=%C3%B1"),
    ],
)
async def test_a_redirect_is_followed_whatever_bytes_its_location_has(
    location: bytes, asked: str, server: Server, tmp_path: Path
) -> None:
    server.answers["/it"] = b"HTTP/1.1 302 X\r\nlocation: " + location + b"\r\n\r\n"
    server.answers[asked] = answer(200, body=BODY)
    assert await fetched(server, "/it", tmp_path) == BODY


async def test_a_name_in_another_script_is_resolved_and_allowed_by_its_punycode(
    server: Server, tmp_path: Path
) -> None:
    async def known(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "xn--and-6ma2c.test" else await resolve(host, port)

    server.answers["/it"] = answer(200, body=BODY)
    of = Downloader(
        allowed_private_hosts=f"ñandú.test:{server.port}",
        spool_dir=tmp_path,
        resolve=known,
        inner=LoopbackOnly(),
    )
    got = await outcome(of, f"http://ÑANDÚ.test:{server.port}/it")
    assert isinstance(got, Downloaded) and content(got) == BODY
    assert server.asked == [("xn--and-6ma2c.test", "/it", False)]


@pytest.mark.parametrize(
    "url",
    [
        "https://inside.test\\@files.test/", "https://0x7f.1/", "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://[::ffff:127.0.0.1]/",
        "https:\\\\inside.test\\x",
    ],
)  # fmt: skip
async def test_no_notation_of_an_address_reaches_inside(url: str, tmp_path: Path) -> None:
    dials = LoopbackOnly()
    assert await outcome(downloader(tmp_path, dials=dials), url) == REFUSED
    assert dials.dialled == []


# content codings

LABELS = (FIELD / "content-encoding-labels/values.txt").read_text().splitlines()


@pytest.mark.parametrize(
    "label",
    [*LABELS, "identity", "IDENTITY", "8bit", "utf8", "aws-chunked", "identity, binary", ",", "none,utf-8", "image/jpeg", "\xff"],
)  # fmt: skip
async def test_a_label_that_names_no_coding_is_ignored(
    label: str, server: Server, tmp_path: Path
) -> None:
    head = b"HTTP/1.1 200 X\r\ncontent-encoding: " + label.encode("latin-1")
    server.answers["/it"] = head + b"\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
    assert await fetched(server, "/it", tmp_path) == BODY


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
GZIPPED = gzip.compress(BODY, mtime=0)


@pytest.mark.parametrize(
    ("label", "sent"),
    [
        ("gzip", GZIPPED),
        ("x-gzip", GZIPPED),
        ("GZIP", GZIPPED),
        ("aws-chunked, gzip", GZIPPED),
        ("gzip", gzip.compress(BODY[:100], mtime=0) + gzip.compress(BODY[100:], mtime=0)),
        ("gzip", GZIPPED + bytes(512)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("gzip", BODY),
    ],
)
async def test_a_coding_that_was_not_asked_for_is_taken_off(
    label: str, sent: bytes, server: Server, tmp_path: Path
) -> None:
    server.answers["/it"] = answer(200, f"content-encoding: {label}\r\n", sent)
    assert await fetched(server, "/it", tmp_path) == BODY


async def test_a_packed_file_whose_server_repeats_its_type_as_its_coding_stays_packed(
    server: Server, tmp_path: Path
) -> None:
    headers = "content-encoding: x-gzip\r\ncontent-type: application/x-gzip\r\n"
    server.answers["/it"] = answer(200, headers, GZIPPED)
    assert await fetched(server, "/it", tmp_path) == GZIPPED


@pytest.mark.parametrize(
    ("label", "sent", "expected"),
    [
        ("br", BODY, WRONG),
        ("zstd", BODY, WRONG),
        ("gzip, gzip", gzip.compress(GZIPPED, mtime=0), WRONG),
        ("gzip", GZIPPED[:10] + b"\xff" * 100, ("media_wrong_content", None)),
        ("deflate", b"\xff" * 100, ("media_wrong_content", None)),
        ("gzip", GZIPPED[:-9], ("media", 1.0)),
        ("gzip", GZIPPED[:1], ("media", 1.0)),
        ("gzip", gzip.compress(b"", mtime=0), ("media_empty", None)),
        ("gzip", gzip.compress(bytes(MAX_BYTES + 1), mtime=0), ("media_too_large", None)),
        (
            "gzip",
            gzip.compress(bytes(100_000_000), 1, mtime=0)[:MAX_BYTES],
            ("media_too_large", None),
        ),
        ("deflate", zlib.compress(bytes(MAX_BYTES * 100)), ("media_too_large", None)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_coding_that_is_not_read_or_grows_beyond_the_limit_ends_the_file(
    label: str, sent: bytes, expected: object, server: Server, tmp_path: Path
) -> None:
    server.answers["/it"] = answer(200, f"content-encoding: {label}\r\n", sent)
    assert await fetched(server, "/it", tmp_path) == expected


async def test_many_empty_members_are_given_up(server: Server, tmp_path: Path) -> None:
    sent = gzip.compress(b"") * 15_000
    of = downloader(tmp_path, f"files.test:{server.port}")
    server.answers["/it"] = answer(200, "content-encoding: gzip\r\n", sent)
    async with of:
        with pytest.raises(Exception, match="media_wrong_content"):
            await of.fetch(
                f"http://files.test:{server.port}/it", max_bytes=len(sent), deadline_seconds=20
            )


# sloppy servers


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 3\nX: y\n\nabc",
        b"HTTP/1.0 200\r\n\r\nabc",
        b"HTTP/1.1 200 \xd3k\r\nX: a\r\n b\r\nContent-Length : 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nLocation: /no\r\n\r\nHTTP/1.1 103 Early\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nUpgrade: h2\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 404 X\r\n\r\n",
    ],
)  # fmt: skip
async def test_an_answer_of_a_sloppy_server_is_read_as_a_browser_reads_it(
    sent: bytes, server: Server, tmp_path: Path
) -> None:
    server.answers["/it"] = sent
    assert await fetched(server, "/it", tmp_path) == b"abc"


# hostile servers


class Pauses:
    """Replaces the pauses of the exchange: each is noted and takes no time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: list[float] = []
        self._sleep = asyncio.sleep
        monkeypatch.setattr("connectors.media.exchange.asyncio.sleep", self.pause)

    async def pause(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self._sleep(0)


def chunked(size: int, count: int) -> bytes:
    chunk = b"%x\r\n" % size + b"x" * size + b"\r\n"
    return answer(200, "transfer-encoding: chunked\r\n", chunk * count + b"0\r\n\r\n")


async def test_a_server_of_tiny_chunks_pays_with_pauses_and_another_download_does_not(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = Pauses(monkeypatch)
    server.answers["/tiny"] = chunked(1, MAX_BYTES)
    assert await fetched(server, "/tiny", tmp_path) == b"x" * MAX_BYTES
    paused = sum(pauses.seconds)
    pauses.seconds.clear()
    server.answers["/whole"] = answer(200, body=bytes(MAX_BYTES))
    server.answers["/lines"] = chunked(40, MAX_BYTES // 40)
    assert await fetched(server, "/whole", tmp_path) == bytes(MAX_BYTES)
    assert await fetched(server, "/lines", tmp_path) == b"x" * MAX_BYTES
    assert (paused > 5, sum(pauses.seconds)) == (True, 0)


async def test_the_cost_of_a_tiny_chunk_is_not_pythons(server: Server, tmp_path: Path) -> None:
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    server.answers["/tiny"] = chunked(1, 5_000)
    sys.setprofile(count)
    try:
        assert await fetched(server, "/tiny", tmp_path) == b"x" * 5_000
    finally:
        sys.setprofile(None)
    assert calls / 5_000 < 10, "about two for the callback and two for its append"


async def test_a_file_comes_while_hostile_servers_hold_their_downloads(
    server: Server, tmp_path: Path
) -> None:
    server.answers["/tiny"] = chunked(1, MAX_BYTES)
    server.answers["/whole"] = answer(200, body=BODY)
    url = f"http://files.test:{server.port}"
    async with downloader(tmp_path, f"files.test:{server.port}") as of:
        held = [
            asyncio.create_task(of.fetch(f"{url}/tiny", max_bytes=MAX_BYTES, deadline_seconds=60))
            for _ in range(8)
        ]
        file = await of.fetch(f"{url}/whole", max_bytes=MAX_BYTES, deadline_seconds=60)
        assert (content(file), [task for task in held if task.done()]) == (BODY, [])
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 200 X\r\n" + b"a: b\r\n" * 30_000,
        b"HTTP/1.1 200 X\r\na: " + b"b" * 300_000,
        b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: " + b"b" * 300_000,
        b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"b" * 300_000,
        b"HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 X\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"",
    ],
    ids=lambda sent: sent[:60].decode(),
)
async def test_an_answer_without_end_or_sense_is_left(
    sent: bytes, server: Server, tmp_path: Path
) -> None:
    server.answers["/it"] = sent
    assert await fetched(server, "/it", tmp_path, deadline_seconds=30.0) == ("media", 1.0)


async def test_a_server_that_brings_hardly_anything_is_left_before_the_deadline(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "WINDOW_SECONDS", 0.2)
    server.answers["/drip"] = b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n"
    got = await asyncio.wait_for(fetched(server, "/drip", tmp_path, deadline_seconds=60.0), 30)
    assert got == ("media", 1.0)


async def test_of_one_owner_a_bounded_number_of_downloads_is_under_way(
    server: Server, tmp_path: Path
) -> None:
    server.answers["/drip"] = b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n"
    server.answers["/it"] = answer(200, body=BODY)
    url = f"http://files.test:{server.port}"
    of = Downloader(
        allowed_private_hosts=f"files.test:{server.port}",
        spool_dir=tmp_path,
        most_per_owner=2,
        resolve=resolve,
        inner=LoopbackOnly(),
    )
    async with of:
        held = [
            asyncio.create_task(
                of.fetch(f"{url}/drip", max_bytes=9_999, deadline_seconds=60, owner="slow")
            )
            for _ in range(5)
        ]
        file = await of.fetch(f"{url}/it", max_bytes=MAX_BYTES, deadline_seconds=30, owner="other")
        assert content(file) == BODY
        assert [path for _, path, _ in server.asked].count("/drip") <= 2
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            file = await of.fetch(
                f"{url}/it", max_bytes=MAX_BYTES, deadline_seconds=30, owner="slow"
            )
        assert content(file) == BODY


async def test_a_key_with_a_line_break_is_never_sent(server: Server, tmp_path: Path) -> None:
    got = await fetched(server, "/it", tmp_path, headers={"x-api-key": "a\r\nhost: b"})
    assert (got, server.asked) == (("media", 1.0), [])
