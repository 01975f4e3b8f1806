import codecs
import gzip
import io
import random
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.media.signatures import by_signature, is_adts, is_mpeg_audio
from connectors.media.sniff import UNKNOWN, Sniffed, sniff, sniff_file

TESTS = Path(__file__).parents[1]
FIELD = TESTS / "field"
TEXT = Sniffed("text/plain", "txt", "document")
MP3, AAC = Sniffed("audio/mpeg", "mp3", "audio"), Sniffed("audio/aac", "aac", "audio")


def of_file(path: Path, declared: str | None) -> Sniffed:
    with path.open("rb") as file:
        head = file.read(4096)
        return sniff_file(file, head, declared)


# text that begins as something else does

WORDS = [
    "ID3 tags are…", "ID3;1;2", "ID3", "BM;fecha;importe", "BMW;12;33", "BM", "MZ;código", "MZ", "II*;a", "II\xbc;a", "MM;mes", "MM*", "PK;cliente", "PK",
    "PK34 y PK56", "GIF;archivo", "GIF87", "GIF89a es un formato", "BZh;x", "BZ", "%!", "%!doctype", "CWS;x", "FWS;x", "RIFF y WAVE", "RIFFabcdWAVE", "OggS",
    "abcdftyp", "abcdftypisom", "fLaC y otros", "MThd", "8BPS", "SQLite y otros", "SQLi", "M4A grabaciones", "AC10;x", "NES", "Cr24", "MSCF", "LZIP", "Rar!",
    "7z", "OTTO;x", "wOFF", "FLV", "FORMabcdAIFF", "#!AMR es una firma", "βρ", "ÿØÿ", "ÿþ", "ÿû", "\x1b[1mrojo\x1b[0m", "a\fb\x1a", "!<arch>\n", "ustar" * 90,
    "JFIF", "WEBPVP8", "😀", "年月日",
]  # fmt: skip
FORMS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("words", WORDS)
def test_words_that_look_like_a_signature_are_text_in_every_unicode_form(
    words: str, form: str
) -> None:
    for rest in ("", "\r\n1;2;año\r\n" * 500):
        assert sniff((words + rest).encode(form)[:4096], None) == TEXT


BIG_ENDIAN = {"utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}


@pytest.mark.parametrize("form", [*BIG_ENDIAN, "utf-16-le", "utf-32-le"])
@pytest.mark.parametrize("has_mark", [True, False])
def test_text_is_text_in_either_order_of_bytes_and_without_a_mark(
    form: str, has_mark: bool
) -> None:
    mark = "\ufeff".encode(form) if has_mark else b""
    for words in ("BMW;fecha;año\r\n" * 300, "ID3", "a"):
        assert sniff((mark + words.encode(form))[:4095], "text/csv") == Sniffed(
            "text/csv", "csv", "document"
        )


def test_text_of_another_script_is_text_if_it_has_a_mark() -> None:
    assert sniff("你好，世界。".encode("utf-16"), None) == TEXT


@pytest.mark.parametrize(
    "words", ["BM;código;año\n" * 9, "ID3;ñ", "MZ;ñ;", "GIF;á", "PK;é", "II*;ü", "%!ñ"]
)
def test_text_of_an_old_code_page_is_text(words: str) -> None:
    assert sniff(words.encode("cp1252"), None) == TEXT


CODE_PAGE = [
    "OggS es una cápsula", "fLaC año", "RIFFxxxxWAVE año", "GIF89a formato año", "#!AMR\naño", "MThd año",
    "8BPS año", "1234ftypisom año", "abcdftypes de año", "FORMxxxxAIFF año", "CWS Año", "CWS\taño", "FWS año",
    "MSCF año", "Cr24 año", "LZIP año", "!<arch> año", "BM;año",
]  # fmt: skip


@pytest.mark.parametrize("words", CODE_PAGE)
def test_words_that_look_like_a_signature_are_text_in_an_old_code_page(words: str) -> None:
    for rest in ("", "\r\n1;2;tres años\r\n" * 500):
        for form in ("latin-1", "cp1252", "cp850", "mac-roman"):
            assert sniff((words + rest).encode(form)[:4096], None) == TEXT


def test_words_of_any_code_page_are_text_where_text_was_declared() -> None:
    assert sniff("OggS Привет, мир".encode("cp1251"), "text/plain") == TEXT


def test_high_bytes_at_the_beginning_of_a_longer_text_are_not_a_picture() -> None:
    assert sniff("ÿØÿ es un año de texto, y más que eso".encode("latin-1"), None) == TEXT


RARE = {
    "a newer character": "\U0001fae9", "private": "\uf8ff", "private beyond": "\U000f0001", "unassigned": "\u0378",
    "next line": "\x85", "vertical tab": "\x0b", "delete": "\x7f", "zero": "\0", "no character": "\ufffe",
}  # fmt: skip


@pytest.mark.parametrize("rare", RARE.values(), ids=RARE)
@pytest.mark.parametrize("form", ["utf-16", "utf-32", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_one_rare_character_makes_no_text_unknown(rare: str, form: str) -> None:
    text = "ID3;fecha;año\r\n" + rare + "1;2;3\r\n" * 40
    assert sniff(text.encode(form), "text/csv") == Sniffed("text/csv", "csv", "document")


def test_many_new_characters_are_text_and_many_controls_are_not() -> None:
    assert sniff(("\U0001fae9" * 50).encode("utf-16"), None) == TEXT
    assert sniff(("año\x01" * 50).encode("utf-16"), None) == UNKNOWN
    assert sniff("\x01".encode("utf-16"), None) == UNKNOWN


def test_text_of_a_script_of_high_bytes_is_text_where_text_was_declared() -> None:
    russian = "Привет, мир".encode("cp1251")
    assert (sniff(russian, "text/plain"), sniff(russian, None)) == (TEXT, UNKNOWN)


def test_text_with_a_stray_control_character_is_text() -> None:
    assert sniff(b"BM;1;\x02\n", None) == TEXT


@pytest.mark.parametrize(
    "head", [bytes(100), b"\xff\xfe" + bytes(10), b"\xff\xfe\x00\xd8\x00\xd8", b"\x01\x00\x02\x00", b"\xff\xfe\xff\xff\xfe\xff", b"BM\x00\x00", b"ID3\x00"]
)  # fmt: skip
def test_bytes_that_say_nothing_are_unknown(head: bytes) -> None:
    assert sniff(head, None) == UNKNOWN


@pytest.mark.parametrize("name", ["id3text.txt", "u16le.csv"])
@pytest.mark.parametrize("declared", [None, "text/plain", "application/octet-stream", "audio/mpeg"])
def test_the_texts_that_people_sent_are_not_sound(name: str, declared: str | None) -> None:
    assert of_file(FIELD / "utf16-text-is-no-sound" / name, declared) == TEXT


# frames of sound


def mpeg_frame(header: int, length: int) -> bytes:
    return struct.pack(">I", header) + b"\x01" * (length - 4)


MPEG = [
    ("MPEG-1 layer III, 128 kbit/s, 44.1 kHz", 0xFFFB9000, 417),
    ("the same, padded", 0xFFFB9200, 418),
    ("with a checksum", 0xFFFA9000, 417),
    ("the largest", 0xFFFBE800, 1440),
    ("MPEG-2 layer III, 64 kbit/s, 22.05 kHz", 0xFFF38000, 208),
    ("MPEG-2.5 layer III, 16 kbit/s, 8 kHz", 0xFFE32800, 144),
    ("MPEG-1 layer II, 192 kbit/s, 48 kHz", 0xFFFDA400, 576),
    ("MPEG-2 layer II, 64 kbit/s, 24 kHz", 0xFFF58400, 384),
    ("MPEG-1 layer I, 128 kbit/s, 32 kHz", 0xFFFF4800, 192),
]


@pytest.mark.parametrize(
    ("header", "length"), [case[1:] for case in MPEG], ids=[c[0] for c in MPEG]
)
def test_frames_that_follow_one_another_are_sound(header: int, length: int) -> None:
    frame = mpeg_frame(header, length)
    assert sniff((frame * 30)[:4096], None) == MP3
    assert sniff(frame * 2, None) == MP3
    assert sniff(frame, None) == MP3, "the only frame of its file"
    assert not is_mpeg_audio(frame + b"\x01" * 100)
    assert not is_mpeg_audio(frame[:-1] + frame)
    assert not is_mpeg_audio(frame[:-1])


@pytest.mark.parametrize(
    "header",
    [0xFFFB0000, 0xFFFBF000, 0xFFFB9C00, 0xFFF99000, 0xFFEB9000, 0xFFFB9002, 0xFFDB9000, 0xFEFB9000],
    ids=["free", "bad bitrate", "bad rate", "layer 0", "bad version", "bad emphasis", "sync", "no sync"],
)  # fmt: skip
def test_a_header_with_a_reserved_value_is_not_a_frame(header: int) -> None:
    assert not is_mpeg_audio(mpeg_frame(header, 417) * 9)


def adts_frame(length: int) -> bytes:
    head = bytes(
        (0xFF, 0xF1, 0x50, 0x80 | length >> 11, length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC)
    )
    return head + b"\x01" * (length - 7)


@pytest.mark.parametrize("length", [8, 371, 4_000, 4_095, 8_191])
def test_frames_of_aac_that_follow_one_another_are_sound(length: int) -> None:
    assert sniff((adts_frame(length) * 600)[:4096], None) == AAC


def test_a_lone_start_of_aac_is_not_sound() -> None:
    assert not is_adts(b"\xff\xf1\x50\x80")
    assert not is_adts(adts_frame(371) + b"\x01" * 100)
    assert not is_adts(adts_frame(4_000)[:100])


def test_the_frames_of_a_real_recording_are_sound_without_their_tag() -> None:
    data = (TESTS / "media/voice-es.mp3").read_bytes()
    size = sum(byte << 7 * place for place, byte in enumerate(reversed(data[6:10])))
    assert data.startswith(b"ID3") and sniff(data[10 + size :][:4096], None) == MP3


def behind(junk: bytes, frames: bytes, declared: str | None) -> Sniffed:
    data = junk + frames
    return sniff_file(io.BytesIO(data), data[:4096], declared)


JUNK = [
    bytes(10),
    bytes(500),
    random.Random(1).randbytes(100),
    bytes(20_000),
    b"\xff\xfb\x90\x00\x01",
]


@pytest.mark.parametrize("junk", JUNK, ids=len)
@pytest.mark.parametrize(
    ("frame", "found"), [(mpeg_frame(0xFFFB9000, 417), MP3), (adts_frame(371), AAC)], ids=["mp3", "aac"]
)  # fmt: skip
def test_frames_behind_junk_are_sound_where_sound_was_declared(
    junk: bytes, frame: bytes, found: Sniffed
) -> None:
    for declared in ("audio/mpeg", "audio/aac", "audio/*"):
        assert behind(junk, frame * 30, declared) == found
        assert behind(junk, frame[100:] + frame * 30, declared) == found, "begun within a frame"
        assert behind(junk, frame * 2, declared) == found
    assert behind(junk, frame * 30, None) == UNKNOWN


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_not_sound_even_where_sound_was_declared(seed: int) -> None:
    assert behind(b"\0", random.Random(seed).randbytes(65_535), "audio/mpeg") == UNKNOWN


def test_the_container_of_a_recorder_of_apple_is_sound() -> None:
    caf = b"caff\0\x01\0\0desc" + bytes(40)
    assert sniff(caf, None) == Sniffed("audio/x-caf", "caf", "audio")
    assert sniff(b"caffeine\xff\0", None) == UNKNOWN


@pytest.mark.parametrize(
    ("tag", "is_sound"),
    [
        (b"ID3\x03\x00\x00\x00\x00\x02\x01TIT2", True),
        (b"ID3\x04\x00\x10\x7f\x7f\x7f\x7f", True),
        (b"ID3\x02\x00\x00\x00\x00\x00\x0aTT2\x01", True),
        (b"ID3\x05\x00\x00\x00\x00\x02\x01", False),
        (b"ID3\x03\xff\x00\x00\x00\x02\x01", False),
        (b"ID3\x03\x00\x01\x00\x00\x02\x01", False),
        (b"ID3\x03\x00\x00\x80\x00\x02\x01", False),
        (b"ID3\x03\x00\x00\x00\x00\x02", False),
    ],
)
def test_a_tag_is_a_tag_by_its_version_flags_and_size(tag: bytes, is_sound: bool) -> None:
    assert is_mpeg_audio(tag) is is_sound


# other short signatures

BMP = b"BM" + struct.pack("<IHHIIiiHH", 1_000, 0, 0, 54, 40, 10, 10, 1, 24) + bytes(99)
EXE = b"MZ\x90\x00" + bytes(56) + struct.pack("<I", 64) + b"PE\0\0"
ICO = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 99, 22) + bytes(99)
TIFF = b"II*\0" + struct.pack("<IH", 8, 12) + bytes(99)
CONTROL = b"\x01\x02\x00 not text"

SHORT = [
    ("image/bmp", BMP, b"BM" + CONTROL * 9),
    ("application/x-msdownload", EXE, b"MZ;a;b" + CONTROL * 9),
    ("image/x-icon", ICO, b"\0\0\1\0" + CONTROL * 9),
    ("image/tiff", TIFF, b"II*\0" + struct.pack("<IH", 8, 0) + CONTROL),
    ("image/tiff", b"MM\0*" + struct.pack(">IH", 8, 12) + bytes(99), b"MM\0*" + struct.pack(">IH", 2, 9) + CONTROL),
    ("image/gif", b"GIF87a\x01\x00" + bytes(9), b"GIF88a\x01\x00" + CONTROL),
    ("image/png", b"\x89PNG\r\n\x1a\n" + bytes(20), b"\x89PNG\n" + CONTROL),
    ("image/vnd.ms-photo", b"II\xbc\x01" + bytes(20), b"II\xbc;" + CONTROL),
    ("application/gzip", gzip.compress(b"hello", mtime=0), b"\x1f\x8b\x08\xff" + CONTROL),
    ("application/x-bzip2", b"BZh91AY&SY\x00\x01\xff", b"BZh9abcdef" + CONTROL),
    ("application/x-compress", b"\x1f\x9d\x90\x00\xff", b"\x1f\x9d\x20" + CONTROL),
    ("application/zip", b"PK\x05\x06" + bytes(18), b"PK\x03\x06" + CONTROL),
    ("application/x-shockwave-flash", b"CWS\x0a" + bytes(9), b"CWS;" + CONTROL),
    ("application/postscript", b"%!PS-Adobe\n\x01\x00", b"%!x" + CONTROL),
    ("video/mpeg", b"\0\0\1\xba\x44" + bytes(20), b"\0\0\1\xba\xff" + CONTROL),
    ("video/mpeg", b"\0\0\1\xb3\x16\x01\x20" + bytes(20), b"\0\0\1\xb5" + CONTROL),
    ("application/x-sqlite3", b"SQLite format 3\0" + bytes(9), b"SQLi" + CONTROL),
]  # fmt: skip


@pytest.mark.parametrize(("mime", "real", "false"), SHORT, ids=[case[0] for case in SHORT])
def test_a_short_signature_needs_the_structure_that_its_format_has(
    mime: str, real: bytes, false: bytes
) -> None:
    found = by_signature(real)
    assert found is not None and found[0] == mime == sniff(real, None).mime
    assert by_signature(false) is None
    for length in range(len(real)):
        by_signature(real[:length])  # holds for any cut of it


def test_two_greek_letters_are_not_a_brotli_file() -> None:
    assert by_signature("βρ".encode() + CONTROL) is None


@given(start=st.sampled_from([case[1][:4] for case in SHORT]), rest=st.binary(max_size=80))
def test_a_short_signature_holds_for_whatever_follows(start: bytes, rest: bytes) -> None:
    by_signature(start + rest)


# formats that are written as text


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"%PDF-1.4\n1 0 obj\n", "application/pdf"),
        (b"\xef\xbb\xbf%PDF-1.4\n", "application/pdf"),
        (b"{\\rtf1\\ansi hello}", "application/rtf"),
        (b"%!PS-Adobe-3.0\n", "application/postscript"),
        (b"<?xml version='1.0'?><!DOCTYPE svg PUBLIC 'x' 'y'>\n<svg xmlns='z'/>", "image/svg+xml"),
        (b"<!-- made by x --><svg width='1'/>", "image/svg+xml"),
        ("<svg >".encode("utf-16"), "image/svg+xml"),
        (b"<?xml version='1.0'?><factura/>", "text/plain"),
        (b"<?xml version='1.0'?><table/>", "text/plain"),
    ],
)
def test_a_format_that_is_written_as_text_is_that_format(head: bytes, mime: str) -> None:
    assert sniff(head, None).mime == mime


@pytest.mark.parametrize(
    "page",
    [
        "<h1>Link expired</h1>", "<title>Sign in</title>", "<meta charset=utf-8>", "<center>403</center>", "<p>no", "<?xml version='1.0'?><html xmlns='x'>",
        "<?xml version='1.0'?>\n<!-- x -->\n<!DOCTYPE html>", "\ufeff<html>", "<div class=x>",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["utf-8", "utf-16", "utf-16-le"])
def test_a_page_is_a_page_in_every_form_of_unicode(page: str, form: str) -> None:
    assert sniff(page.encode(form), "image/jpeg").family == "web_page"


@pytest.mark.parametrize(
    "text",
    ["<!-- -->" * 500, " " * 4_000 + "x", "<!--" * 1_000, "<?xml" * 800, "<!doctype svg " * 290, "<!-- --> " * 450 + "<sv", "<?xml?>" + "<!-- -->" * 500],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_no_text_is_read_more_than_a_few_times(text: str) -> None:
    began = time.process_time()
    sniff(text.encode()[:4096], "text/html")
    assert time.process_time() - began < 0.5
