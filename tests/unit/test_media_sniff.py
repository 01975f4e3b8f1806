import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.media.sniff import UNKNOWN, Sniffed, sniff, sniff_file

MEDIA = Path(__file__).parents[1] / "media"
OFFICE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def box(brand: bytes, rest: bytes = b"") -> bytes:
    return b"\x00\x00\x00\x20ftyp" + brand + b"\x00\x00\x02\x00" + brand + rest


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("cat.jpg", Sniffed("image/jpeg", "jpg", "image")),
        ("coffee.jpg", Sniffed("image/jpeg", "jpg", "image")),
        ("rocket.webp", Sniffed("image/webp", "webp", "image")),
        ("astronaut.heic", Sniffed("image/heic", "heic", "image")),
        ("voice-es.amr", Sniffed("audio/amr", "amr", "audio")),
        ("voice-es.mp3", Sniffed("audio/mpeg", "mp3", "audio")),
        ("voice-memo-en.m4a", Sniffed("audio/mp4", "m4a", "audio")),
        ("voice-note-es.ogg", Sniffed("audio/ogg", "ogg", "audio")),
    ],
)
@pytest.mark.parametrize(
    "declared", [None, "", "application/octet-stream", "text/html", "image/svg+xml"]
)
def test_a_real_file_is_what_its_bytes_say_whatever_was_declared(
    file: str, expected: Sniffed, declared: str | None
) -> None:
    assert sniff((MEDIA / file).read_bytes()[:4096], declared) == expected


@pytest.mark.parametrize(
    ("head", "declared", "expected"),
    [
        (
            b"OggS" + bytes(30) + b"OpusHead",
            "application/ogg",
            Sniffed("audio/ogg", "ogg", "audio"),
        ),
        (box(b"isom", b"vide"), "video/mp4", Sniffed("video/mp4", "mp4", "video")),
        (box(b"isom"), "audio/mp4; codecs=mp4a", Sniffed("audio/mp4", "m4a", "audio")),
        (box(b"qt  "), None, Sniffed("video/quicktime", "mov", "video")),
        (box(b"3gp4"), None, Sniffed("video/3gpp", "3gp", "video")),
        (box(b"avif"), None, Sniffed("image/avif", "avif", "image")),
        (box(b"mif1"), None, Sniffed("image/heic", "heic", "image")),
        (box(b"M4B "), None, Sniffed("audio/mp4", "m4a", "audio")),
        (b"#!AMR-WB\n\x00", None, Sniffed("audio/amr", "amr", "audio")),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None, Sniffed("audio/wav", "wav", "audio")),
        (b"\x1aE\xdf\xa3webm", "audio/webm", Sniffed("audio/webm", "weba", "audio")),
        (b"\x1aE\xdf\xa3webm", "video/webm", Sniffed("video/webm", "webm", "video")),
        (b"fLaC\x00", None, Sniffed("audio/flac", "flac", "audio")),
        (b"GIF89a\x01\x00\x01\x00", "image/png", Sniffed("image/gif", "gif", "image")),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", None, Sniffed("image/png", "png", "image")),
        (b"%PDF-1.7\n", "image/jpeg", Sniffed("application/pdf", "pdf", "document")),
        (b"PK\x03\x04" + bytes(60), OFFICE, Sniffed(OFFICE, "docx", "document")),
        (b"PK\x03\x04" + bytes(60), "text/html", Sniffed("application/zip", "zip", "document")),
        (b"a,b\n1,2\n", "text/csv", Sniffed("text/csv", "csv", "document")),
        (b"a,b\n1,2\n", "text/html", Sniffed("text/plain", "txt", "document")),
        (
            b"BEGIN:VCARD\n",
            "text/x-vcard; charset=utf-8",
            Sniffed("text/x-vcard", "vcf", "document"),
        ),
        ("ñandú, ".encode() * 9 + "ñ".encode()[:1], "", Sniffed("text/plain", "txt", "document")),
        (b"", None, UNKNOWN),
        (b"", "image/jpeg", UNKNOWN),
        (b"\x00\x9f\x92\x96\xff\x00\x81\x82\x83\x84", "image/jpeg", UNKNOWN),
    ],
)
def test_the_first_bytes_decide_and_the_declaration_only_where_they_leave_it_open(
    head: bytes, declared: str | None, expected: Sniffed
) -> None:
    assert sniff(head, declared) == expected


@pytest.mark.parametrize(
    "head",
    [
        b"<!DOCTYPE html><title>Sign in</title>", b"  \n<HTML><body>", b"<script>alert(1)</script>", b"<!-- x --><html>", b"<head>", b"<body onload=x>",
    ],
)  # fmt: skip
@pytest.mark.parametrize("declared", ["image/jpeg", "text/html", None])
def test_a_page_is_not_a_file_and_is_never_named_html(head: bytes, declared: str | None) -> None:
    assert sniff(head, declared) == Sniffed("text/html", "txt", "web_page")


@pytest.mark.parametrize(
    "head",
    [b"<svg xmlns='x'>", b"<?xml version='1.0'?>\n<svg>", b"<?xml version='1.0'?><!-- a --><svg>"],
)
def test_an_svg_is_a_document_that_no_browser_opens(head: bytes) -> None:
    assert sniff(head, "image/svg+xml") == Sniffed("image/svg+xml", "bin", "document")


def test_an_error_in_json_is_not_a_picture_but_json_that_was_announced_is_a_file() -> None:
    assert sniff(b'{"error": "expired"}', "image/jpeg").family == "web_page"
    assert sniff(b'{"a": 1}', "application/json").family == "document"


# sound in containers of film


def atom(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def large_atom(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


def track(handler: bytes) -> bytes:
    return atom(b"trak", atom(b"mdia", atom(b"hdlr", bytes(8) + handler + bytes(12))))


def film(brand: bytes) -> bytes:
    return atom(b"ftyp", brand + bytes(4) + brand)


DATA = atom(b"mdat", bytes(10_000))
MP4, M4A = Sniffed("video/mp4", "mp4", "video"), Sniffed("audio/mp4", "m4a", "audio")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (film(b"isom") + DATA + atom(b"moov", track(b"soun")), M4A),
        (film(b"isom") + atom(b"moov", track(b"soun") + track(b"soun")) + DATA, M4A),
        (film(b"mp42") + large_atom(b"mdat", bytes(10_000)) + atom(b"moov", track(b"soun")), M4A),
        (film(b"qt  ") + DATA + atom(b"moov", track(b"soun")), M4A),
        (
            film(b"3gp4") + DATA + atom(b"moov", track(b"soun")),
            Sniffed("audio/3gpp", "3gp", "audio"),
        ),
        (film(b"isom") + DATA + atom(b"moov", track(b"soun") + track(b"vide")), MP4),
        (film(b"isom") + DATA + atom(b"moov", track(b"vide")), MP4),
        (film(b"isom") + DATA + atom(b"moov", track(b"text")), MP4),
        (film(b"isom") + DATA, MP4),
        (film(b"isom") + atom(b"mdat", track(b"soun")), MP4),
        (film(b"isom") + struct.pack(">I4s", 0, b"mdat") + track(b"soun"), MP4),
        (film(b"isom") + struct.pack(">I4s", 7, b"free"), MP4),
        (film(b"isom") + struct.pack(">I4sQ", 1, b"free", 0) + track(b"soun"), MP4),
        (film(b"isom") + struct.pack(">I4s", 2**32 - 1, b"moov") + track(b"soun"), MP4),
        (film(b"isom") + atom(b"free") * 10_000 + atom(b"moov", track(b"soun")), MP4),
        (film(b"isom") + b"\0\0", MP4),
    ],
)
def test_a_film_without_pictures_is_sound(content: bytes, expected: Sniffed) -> None:
    assert sniff_file(io.BytesIO(content), content[:4096], "application/octet-stream") == expected


@pytest.mark.parametrize("name", ["cat.jpg", "astronaut.heic", "voice-es.amr", "voice-memo-en.m4a"])
def test_of_a_whole_file_the_same_is_said(name: str) -> None:
    head = (MEDIA / name).read_bytes()[:4096]
    with (MEDIA / name).open("rb") as file:
        assert sniff_file(file, head, None) == sniff(head, None)


@pytest.mark.parametrize(
    "declared",
    [
        "application/pdf",
        "application/vnd.ms-excel",
        "image/*",
        "audio/ogg; codecs=opus",
        "video/mp4",
        "application/zip",
    ],
)
def test_json_where_no_text_can_be_meant_is_an_error(declared: str) -> None:
    assert sniff(b' {"error": {"code": 404}}', declared).family == "web_page"


@pytest.mark.parametrize(
    "declared",
    [
        None,
        "",
        "application/json",
        "application/vnd.api+json",
        "text/plain",
        "application/octet-stream",
    ],
)
def test_json_that_may_be_meant_is_a_file(declared: str | None) -> None:
    assert sniff(b'{"a": 1}', declared).family == "document"


STARTS = st.sampled_from(
    [
        b"",
        b"OggS",
        b"\0\0\0\x20ftyp",
        b"RIFF\0\0\0\0WAVE",
        b"\xff",
        b"PK\x03\x04",
        b"<",
        b"{",
        b"\x1aE\xdf\xa3",
        b"\x89PNG\r\n\x1a\n",
    ]
)


@given(start=STARTS, rest=st.binary(max_size=600), declared=st.none() | st.text(max_size=40))
def test_any_bytes_and_any_declaration_have_an_answer_with_a_harmless_extension(
    start: bytes, rest: bytes, declared: str | None
) -> None:
    found = sniff(start + rest, declared)
    assert found.family in ("image", "audio", "video", "document", "web_page", "unknown")
    assert found.extension.isalnum() and found.extension.isascii() and len(found.extension) <= 5
    assert found.extension not in ("html", "htm", "svg", "xml", "js")
