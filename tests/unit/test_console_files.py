import pytest

from connectors.console.files import ByteRange, safe_headers, span_of
from connectors.console.links import Links, signature
from connectors.console.problems import ConsoleProblem

SIZE = 100


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("", None),
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=99-", ByteRange(99, 1)),
        ("bytes=0-", ByteRange(0, 100)),
        ("bytes=90-1000", ByteRange(90, 10)),
        ("bytes=-10", ByteRange(90, 10)),
        ("bytes=-1000", ByteRange(0, 100)),
        (" BYTES=5-6 ", ByteRange(5, 2)),
        # several, another unit, and what is no range are answered with the whole file (RFC 9110, 14.2)
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("BYTES=-", None),
        ("bytes=9-5", None),
        ("bytes=a-b", None),
        ("bytes=²-³", None),
        ("lines=0-1", None),
        ("bytes=0-1x", None),
    ],
)
def test_a_range_header_asks_for_a_span_or_for_the_whole_file(
    header: str | None, span: ByteRange | None
) -> None:
    assert span_of(header, SIZE) == span


@pytest.mark.parametrize(
    "header", ["bytes=100-", "bytes=100-200", "bytes=999999999999999999-", "bytes=-0"]
)
def test_a_range_behind_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(ConsoleProblem) as refused:
        span_of(header, SIZE)
    assert (refused.value.status, refused.value.headers) == (416, {"content-range": "bytes */100"})


def test_no_range_of_an_empty_file_can_be_satisfied() -> None:
    for header in ("bytes=0-", "bytes=-1"):
        with pytest.raises(ConsoleProblem):
            span_of(header, 0)


@pytest.mark.parametrize(
    ("mime", "shown"),
    [
        ("image/jpeg", "inline"),
        ("audio/ogg", "inline"),
        ("video/mp4", "inline"),
        ("image/svg+xml", "attachment"),
        ("text/html", "attachment"),
        ("text/plain", "attachment"),
        ("application/pdf", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("image/jpeg\r\nx: y", "attachment"),
        ("", "attachment"),
    ],
)
def test_only_images_sound_and_film_may_show_themselves(mime: str, shown: str) -> None:
    headers = safe_headers(mime)
    assert (headers["content-disposition"], headers["x-content-type-options"]) == (shown, "nosniff")


PATH, KEYS, NOW = "/media/acme/1.jpg", [b"new", b"old"], 1_000_000.7


def _parameters(link: str) -> tuple[str, str]:
    path, _, query = link.partition("?")
    expires, signed = query.removeprefix("expires=").split("&signature=")
    assert path == PATH
    return expires, signed


def test_a_link_holds_until_it_is_over() -> None:
    links = Links(KEYS, 300)
    expires, signed = _parameters(links.signed(PATH, NOW))
    assert int(expires) == 1_000_300
    assert links.holds(PATH, expires, signed, NOW) and links.holds(
        PATH, expires, signed, 1_000_300.0
    )
    assert not links.holds(PATH, expires, signed, 1_000_300.1)


def test_a_link_of_a_rotated_key_still_holds() -> None:
    expires, signed = _parameters(Links([b"old"], 300).signed(PATH, NOW))
    assert Links(KEYS, 300).holds(PATH, expires, signed, NOW)
    assert not Links([b"new"], 300).holds(PATH, expires, signed, NOW)


@pytest.mark.parametrize(
    ("path", "expires", "signed"),
    [
        ("/media/acme/2.jpg", "1000300", signature(b"new", PATH, 1_000_300)),
        ("/media/other/1.jpg", "1000300", signature(b"new", PATH, 1_000_300)),
        (PATH, "1000301", signature(b"new", PATH, 1_000_300)),
        (PATH, "1000300", signature(b"foreign", PATH, 1_000_300)),
        (PATH, "1000300", ""),
        (PATH, "1000300", "é"),
        (PATH, "", ""),
        (PATH, "²", signature(b"new", PATH, 1_000_300)),
        (PATH, "-1", signature(b"new", PATH, -1)),
        (PATH, "9" * 13, signature(b"new", PATH, int("9" * 13))),
        (PATH, " 1000300", signature(b"new", PATH, 1_000_300)),
    ],
)
def test_a_link_holds_for_nothing_else(path: str, expires: str, signed: str) -> None:
    assert not Links(KEYS, 300).holds(path, expires, signed, NOW)
