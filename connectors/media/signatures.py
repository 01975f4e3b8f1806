"""Recognises binary formats by their signature and the structure that follows it.

Two or three bytes occur at the beginning of anything. `filetype` is content with them;
here a check of what the format requires next is added. Each function takes the first
bytes of a file and accepts any bytes.
"""

import re
import struct
from collections.abc import Callable, Mapping
from typing import Literal

from filetype.types import TYPES

from connectors.media.spool import HEAD_BYTES

_DIB_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_PROGRAMS = frozenset({b"PE", b"NE", b"LE", b"LX"})
_ZIP_RECORDS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")
_STEP = (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448)
_BITRATES: Mapping[tuple[bool, int], tuple[int, ...]] = {
    (True, 1): _STEP,
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s by index, starting at 1, for (MPEG-1, layer)."""
_SYNC = re.compile(rb"\xff(?=[\xe0-\xff])")
_RATES = (44_100, 48_000, 32_000)

_Frame = tuple[int, bytes]
"""The length of a frame, and the bits of its header that the next frame repeats."""


def is_mpeg_audio(head: bytes) -> bool:
    """True for an ID3v2 tag, or for an MPEG audio frame followed by one of the same kind."""
    return _is_id3(head) or _repeats(head, _mpeg_frame)


def frames_within(data: bytes) -> Literal["audio/mpeg", "audio/aac"] | None:
    """The kind of sound whose frames occur anywhere in `data`, or None.

    This finds a recording that was cut at its beginning or that follows junk. Two
    frames have to agree, and a third if `data` is long enough. That happens by chance
    in one of ten thousand files, so it is only used for files declared as sound.
    """
    for found in _SYNC.finditer(data):
        at = found.start()
        if _agree(data, at, _mpeg_frame):
            return "audio/mpeg"
        if _agree(data, at, _adts_frame):
            return "audio/aac"
    return None


def _agree(data: bytes, at: int, frame: Callable[[bytes], _Frame | None]) -> bool:
    kinds = set()
    for number in range(3):
        head = data[at : at + 8]
        if number == 2 and len(head) < 8:
            break
        found = frame(head)
        if found is None:
            return False
        length, kind = found
        at += length
        kinds.add(kind)
    return len(kinds) == 1


def is_adts(head: bytes) -> bool:
    """True for an AAC frame followed by one of the same kind."""
    return _repeats(head, _adts_frame)


def _is_id3(head: bytes) -> bool:
    """Checks version, flags and the sync-safe size, which never follow the word "ID3" in text."""
    return (
        len(head) >= 10
        and head.startswith(b"ID3")
        and 2 <= head[3] <= 4
        and head[4] != 0xFF
        and head[5] & 0x0F == 0
        and all(byte < 0x80 for byte in head[6:10])
    )


def _repeats(head: bytes, frame: Callable[[bytes], _Frame | None]) -> bool:
    first = frame(head)
    if first is None:
        return False
    length, kind = first
    following = head[length : length + 8]
    # The only frame of its file, or one that ends beyond the head.
    if len(following) < 8:
        return length == len(head) or (length > len(head) - 8 and len(head) >= HEAD_BYTES)
    second = frame(following)
    return second is not None and second[1] == kind


def _mpeg_frame(head: bytes) -> _Frame | None:
    """A frame of ISO 11172-3 or 13818-3, or of their extension to lower rates."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3 or head[3] & 3 == 2:
        return None
    first = version == 3
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = _BITRATES[first, layer][bitrate - 1] * 1000
    padding = head[2] >> 1 & 1
    if layer == 1:
        length = (12 * bits // hertz + padding) * 4
    else:
        length = (144 if first or layer == 2 else 72) * bits // hertz + padding
    return length, bytes((head[1] & 0xFE, head[2] & 0x0C))


def _adts_frame(head: bytes) -> _Frame | None:
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return (length, bytes((head[1], head[2] & 0xFC))) if length > 7 else None


def _is_bmp(head: bytes) -> bool:
    return len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _DIB_HEADERS


def _is_program(head: bytes) -> bool:
    """True for a DOS program.

    It has the number of bytes on its last page (at most 511) where a text has two
    letters.
    """
    if len(head) < 64 or struct.unpack_from("<H", head, 2)[0] > 511:
        return False
    (at,) = struct.unpack_from("<I", head, 60)
    return at == 0 or at >= len(head) or head[at : at + 2] in _PROGRAMS


def _is_tiff(head: bytes) -> bool:
    """True if the first directory is after the header and, as far as visible, has entries."""
    order = "<" if head.startswith(b"II") else ">"
    (at,) = struct.unpack_from(f"{order}I", head, 4)
    if at + 2 > len(head):
        return True
    return bool(at >= 8 and 0 < struct.unpack_from(f"{order}H", head, at)[0] < 1024)


def _is_icon(head: bytes) -> bool:
    """True for a directory whose first picture comes after it."""
    if len(head) < 22:
        return False
    (count,) = struct.unpack_from("<H", head, 4)
    reserved, planes, _, size, at = struct.unpack_from("<xBHHII", head, 8)
    return (
        0 < count < 256
        and reserved in (0, 255)
        and planes <= 1
        and size > 0
        and at >= 6 + 16 * count
    )


def _is_mpeg_film(head: bytes) -> bool:
    """True for an MPEG pack, or a sequence with a size."""
    if head[3] == 0xBA:
        return len(head) > 4 and (head[4] >> 6 == 1 or head[4] >> 4 == 2)
    return head[3] == 0xB3 and len(head) > 6 and head[4:6] != b"\0\0"


def _is_flash(head: bytes) -> bool:
    return len(head) >= 8 and 0 < head[3] <= 50


def _never(head: bytes) -> bool:
    return False


_CHECKS: Mapping[str, Callable[[bytes], bool]] = {
    # recognised by the functions above, or by their first box
    "audio/mpeg": _never,
    "audio/aac": _never,
    "audio/mp4": _never,
    # Brotli has no signature: these bytes are two Greek letters
    "application/x-brotli": _never,
    "image/bmp": _is_bmp,
    "image/tiff": _is_tiff,
    "image/x-canon-cr2": _is_tiff,
    "image/x-icon": _is_icon,
    "image/gif": lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    "image/png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/vnd.ms-photo": lambda head: len(head) >= 8 and head[3] <= 1,
    "video/mpeg": _is_mpeg_film,
    "application/x-msdownload": _is_program,
    "application/x-shockwave-flash": _is_flash,
    "application/zip": lambda head: head.startswith(_ZIP_RECORDS),
    "application/gzip": lambda head: len(head) > 3 and head[3] & 0xE0 == 0,
    "application/x-bzip2": lambda head: head[3:4].isdigit() and head[4:10] in _BZIP2_BLOCKS,
    "application/x-compress": lambda head: len(head) > 2 and 9 <= head[2] & 0x7F <= 16,
    "application/postscript": lambda head: head.startswith(b"%!PS"),
    "application/x-sqlite3": lambda head: head.startswith(b"SQLite format 3\0"),
}
"""Checks by the type that `filetype` reports.

Types without a check have signatures that are long enough.
"""


def by_signature(head: bytes) -> tuple[str, str] | None:
    """The type and extension of a binary format, or None."""
    for kind in TYPES:
        if kind.match(head):
            check = _CHECKS.get(kind.mime)
            if check is None or check(head):
                return str(kind.mime), str(kind.extension)
    return None
