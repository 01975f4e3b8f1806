import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.media.sniff import Sniffed, sniff, sniff_file

FIELD = Path(__file__).parents[1] / "field"


def of_file(path: Path, declared: str | None) -> Sniffed:
    with path.open("rb") as file:
        return sniff_file(file, file.read(4096), declared)


# Matroska and WebM


def element(id: bytes, content: bytes) -> bytes:
    return id + struct.pack(">Q", len(content) | 1 << 56) + content


def unknown_size(id: bytes, content: bytes) -> bytes:
    return id + b"\x01\xff\xff\xff\xff\xff\xff\xff" + content


def ebml(doctype: bytes) -> bytes:
    return element(b"\x1aE\xdf\xa3", element(b"\x42\x86", b"\1") + element(b"\x42\x82", doctype))


def tracks(*types: int) -> bytes:
    entry = b"".join(
        element(
            b"\xae",
            element(b"\xd7", b"\1") + element(b"\x86", b"A_OPUS") + element(b"\x83", bytes((of,))),
        )
        for of in types
    )
    return element(b"\x16\x54\xae\x6b", entry)


SEGMENT, VOID, CLUSTER, INFO = (
    b"\x18\x53\x80\x67",
    b"\xec",
    b"\x1f\x43\xb6\x75",
    b"\x15\x49\xa9\x66",
)
WEBM = {True: Sniffed("audio/webm", "weba", "audio"), False: Sniffed("video/webm", "webm", "video")}
MKV = {
    True: Sniffed("audio/x-matroska", "mka", "audio"),
    False: Sniffed("video/x-matroska", "mkv", "video"),
}


@pytest.mark.parametrize(
    ("content", "is_sound"),
    [
        (element(SEGMENT, tracks(2)), True),
        (unknown_size(SEGMENT, tracks(2) + unknown_size(CLUSTER, bytes(99))), True),
        (
            element(SEGMENT, element(INFO, bytes(300)) + element(VOID, bytes(9_000)) + tracks(2)),
            True,
        ),
        (element(SEGMENT, element(CLUSTER, bytes(9_000)) + tracks(2, 2, 17)), True),
        (element(SEGMENT, tracks(1, 2)), False),
        (element(SEGMENT, tracks(2, 1)), False),
        (element(SEGMENT, tracks(1)), False),
        (element(SEGMENT, tracks(17)), False),
        (element(SEGMENT, tracks()), False),
        (element(SEGMENT, b""), False),
        (b"", False),
        (element(SEGMENT, unknown_size(CLUSTER, bytes(99)) + tracks(2)), False),
        (element(SEGMENT, element(VOID, b"") * 5_000 + tracks(2)), False),
        (element(SEGMENT, element(b"\x16\x54\xae\x6b", bytes(1_000_001))), False),
        (element(SEGMENT, b"\x16\x54\xae\x6b\x01\xff\xff\xff\xff\xff\xff\xfe"), False),
        (element(SEGMENT, b"\0" * 99), False),
    ],
)
@pytest.mark.parametrize(("doctype", "kinds"), [(b"webm", WEBM), (b"matroska", MKV), (b"", WEBM)])
def test_a_matroska_file_without_pictures_is_sound_whatever_was_declared(
    content: bytes, is_sound: bool, doctype: bytes, kinds: dict[bool, Sniffed]
) -> None:
    data = ebml(doctype) + content
    for declared in ("video/webm", "application/octet-stream", None):
        assert sniff_file(io.BytesIO(data), data[:4096], declared) == kinds[is_sound]
    assert sniff_file(io.BytesIO(data), data[:4096], "audio/webm") == kinds[True]


@pytest.mark.parametrize("declared", [None, "video/webm", "video/mp4", "application/octet-stream"])
def test_the_recording_of_a_browser_is_sound(declared: str | None) -> None:
    assert of_file(FIELD / "sound-only-webm/grabacion.webm", declared) == WEBM[True]


@given(rest=st.binary(max_size=300))
def test_a_matroska_file_holds_for_whatever_follows(rest: bytes) -> None:
    for start in (
        ebml(b"webm"),
        ebml(b"webm") + SEGMENT,
        ebml(b"webm") + unknown_size(SEGMENT, b""),
    ):
        assert sniff(start + rest, None).mime in ("video/webm", "audio/webm")


# Ogg


def page(packet: bytes, flags: int = 2) -> bytes:
    return b"OggS\0" + bytes((flags,)) + bytes(20) + b"\1" + bytes((len(packet),)) + packet


OPUS, THEORA = page(b"OpusHead" + bytes(11)), page(b"\x80theora" + bytes(30))
OGG, OGV = Sniffed("audio/ogg", "ogg", "audio"), Sniffed("video/ogg", "ogv", "video")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (OPUS, OGG),
        (page(b"\x01vorbis" + bytes(20)), OGG),
        (page(b"Speex   " + bytes(20)), OGG),
        (page(b"\x7fFLAC" + bytes(20)), OGG),
        (THEORA, OGV),
        (OPUS + THEORA, OGV),
        (page(b"fishead\0" + bytes(56)) + OPUS + THEORA, OGV),
        (page(b"OVP80" + bytes(20)) + OPUS, OGV),
        (OPUS + page(b"OpusTags about theora \x80theora", flags=0), OGG),
        (b"OggS\0", OGG),
        (b"OggS\0" + bytes(30), OGG),
    ],
)
def test_an_ogg_file_is_film_if_one_of_its_streams_is(head: bytes, expected: Sniffed) -> None:
    assert sniff(head, None) == expected


# pictures in ISO media

HEIC, AVIF = Sniffed("image/heic", "heic", "image"), Sniffed("image/avif", "avif", "image")
FILM = Sniffed("video/mp4", "mp4", "video")


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(100)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (ftyp(b"avif", b"mif1", b"miaf"), AVIF),
        (ftyp(b"avis", b"avif", b"msf1", b"iso8"), AVIF),
        (ftyp(b"mif1", b"miaf", b"avif"), AVIF),
        (ftyp(b"msf1", b"avis", b"iso8"), AVIF),
        (ftyp(b"avio", b"avif", b"mif1"), AVIF),
        (ftyp(b"miaf", b"avif"), AVIF),
        (ftyp(b"mif1", b"heic"), HEIC),
        (ftyp(b"mif1"), HEIC),
        (ftyp(b"msf1", b"hevc"), HEIC),
        (ftyp(b"hevc", b"msf1", b"hevc"), HEIC),
        (ftyp(b"heim", b"mif1"), HEIC),
        (ftyp(b"hevs"), HEIC),
        (ftyp(b"avci", b"mif1"), HEIC),
        (ftyp(b"isom", b"iso2", b"mp41"), FILM),
        (ftyp(b"isom", b"avif"), FILM),
        (ftyp(b"mp42", b"mif1"), FILM),
        (b"\xff\xff\xff\xffftypmif1" + bytes(4), HEIC),
        (b"\0\0\0\0ftypmif1" + bytes(4) + b"avif", HEIC),
    ],
)
def test_the_brands_tell_a_picture_or_a_sequence_of_them_from_film(
    head: bytes, expected: Sniffed
) -> None:
    assert sniff(head, None) == expected


@pytest.mark.parametrize("declared", [None, "image/avif", "video/mp4"])
def test_the_animated_picture_that_people_send_is_a_picture(declared: str | None) -> None:
    assert of_file(FIELD / "avif-sequence/animada.avif", declared) == AVIF


@pytest.mark.parametrize("major", [b"isom", b"iso8", b"mp42"])
@pytest.mark.parametrize(
    ("brand", "picture"), [(b"avif", AVIF), (b"avis", AVIF), (b"heic", HEIC), (b"hevc", HEIC)]
)
def test_a_picture_under_the_brand_of_a_film_is_one_where_a_picture_was_declared(
    major: bytes, brand: bytes, picture: Sniffed
) -> None:
    head = ftyp(major, b"mif1", brand)
    for declared in ("image/avif", "image/heic", "image/*"):
        assert sniff(head, declared) == picture
    assert sniff(head, "video/mp4") == sniff(head, None) == FILM
    assert sniff(ftyp(major, b"mp41"), "image/avif") == FILM
