"""Removes everything from a picture that is not needed to show it.

Such extras are often damaged.
"""

import re
import struct
import zlib

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_JPEG_HEAD = b"\xff\xd8"
_JPEG_SCAN = 0xDA
_JPEG_EXTRAS = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
"""Application segments and comments.

JFIF (E0) and Adobe (EE) are not among them, because they say how colours are stored.
"""
_JPEG_TABLES = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDD})
_JPEG_SHORTEST_HEAD = 16
"""The minimal length of JFIF and Adobe segments; Pillow fails on a shorter one."""
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"ALPH")
_WEBP_FRAME_HEAD = 16
_LEAST_OF_PIXELS = 8
"""A truncated chunk of pixels is padded if at least an eighth of it is present."""
_WEBP_HAS_ALPHA = 0x10
_EXIF_ITEM = re.compile(rb"(infe[\x02\x03]...(?:..|....)..)Exif", re.DOTALL)
"""The place where a HEIF or AVIF declares one of its items as metadata.

The item's number has 2 or 4 bytes.
"""
_BMP_SHORT_HEAD = 16
_BMP_MASKED = struct.pack("<HI", 32, 3)
_BMP_WHOLE_BYTES = {0xFF: 0, 0xFF00: 1, 0xFF0000: 2, 0xFF000000: 3}
_BRANDS = (b"avif", b"heic", b"heix", b"mif1", b"avis", b"hevc", b"hevx", b"msf1")
"""The brands by which an opener recognises a picture, those of still pictures first."""


def with_usual_brand(data: bytes) -> bytes:
    """The same AVIF or HEIC with one of its compatible brands in place of an unusual major one."""
    if data[4:8] != b"ftyp" or data[8:12] in _BRANDS:
        return data
    end = min(int.from_bytes(data[:4], "big"), 256)
    compatible = {data[at : at + 4] for at in range(16, end, 4)}
    brand = next((brand for brand in _BRANDS if brand in compatible), data[8:12])
    return data[:8] + brand + data[12:]


def without_extras(data: bytes, *, with_alpha: bool = True) -> bytes:
    """The same picture without metadata, profiles and comments.

    Other formats are returned unchanged. A WebP also loses its transparency unless
    `with_alpha`, and an animated one keeps a single frame.
    """
    if data.startswith(_PNG_HEAD):
        return _plain_png(data)
    if data.startswith(_JPEG_HEAD):
        return _plain_jpeg(data)
    if is_webp(data):
        return _plain_webp(data, with_alpha)
    if data.startswith(b"BM"):
        return _plain_bmp(data)
    if data[4:8] == b"ftyp":
        return _EXIF_ITEM.sub(rb"\1none", data)
    return data


def is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _plain_png(data: bytes) -> bytes:
    parts, at = [_PNG_HEAD], len(_PNG_HEAD)
    while len(head := data[at : at + 8]) == 8:
        size, kind = struct.unpack(">I4s", head)
        body = data[at + 8 : at + 8 + size]
        # An impossible size: look for the pixels.
        if len(body) < size and kind != b"IDAT":
            found = data.find(b"IDAT", at + 8)
            if found < 0:
                break
            at = found - 4
            continue
        if kind in _PNG_NEEDED:
            parts.append(_png_chunk(kind, body))
        if kind == b"IEND":
            break
        at += 12 + size
    return b"".join([*parts, _png_chunk(b"IEND", b"")])


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _plain_jpeg(data: bytes) -> bytes:
    parts, at = [_JPEG_HEAD], 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker in (0x00, 0xFF, 0x01, 0xD8) or 0xD0 <= marker <= 0xD7:
            at += 1
            continue
        if marker == _JPEG_SCAN:
            return b"".join([*parts, data[at:]])
        size = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        follows = data[at + size : at + size + 1]
        is_head = marker in (0xE0, 0xEE)
        if marker in _JPEG_TABLES or (is_head and size >= _JPEG_SHORTEST_HEAD):
            parts.append(data[at : at + size])
        elif not (is_head or marker in _JPEG_EXTRAS) or follows != b"\xff":
            # Not a segment, or one with a wrong size: look for the next marker.
            size = 2
        at += size
    return data


def _plain_webp(data: bytes, with_alpha: bool) -> bytes:
    chunks = _webp_chunks(data, 12)
    size_head = chunks.get(b"VP8X", b"")[4:10]
    if not {b"VP8 ", b"VP8L"} & chunks.keys() and b"ANMF" in chunks:
        size_head = chunks[b"ANMF"][6:12]
        chunks = _webp_chunks(chunks[b"ANMF"], _WEBP_FRAME_HEAD)
    needed = _WEBP_PIXELS if with_alpha else _WEBP_PIXELS[:2]
    parts = [_webp_chunk(kind, chunks[kind]) for kind in sorted(needed) if kind in chunks]
    if with_alpha and b"ALPH" in chunks:
        flags = bytes([_WEBP_HAS_ALPHA, 0, 0, 0])
        parts.insert(0, _webp_chunk(b"VP8X", flags + size_head))
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_chunks(data: bytes, at: int) -> dict[bytes, bytes]:
    """The first chunk of each kind.

    A truncated chunk of pixels is padded with zeros.
    """
    chunks: dict[bytes, bytes] = {}
    while len(head := data[at : at + 8]) == 8:
        kind, size = struct.unpack("<4sI", head)
        body = data[at + 8 : at + 8 + size]
        if kind in _WEBP_PIXELS and size <= len(body) * _LEAST_OF_PIXELS:
            body = body.ljust(size, b"\x00")
        chunks.setdefault(kind, body)
        at += 8 + size + size % 2
    return chunks


def _webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)


def _plain_bmp(data: bytes) -> bytes:
    """The same BMP with the usual header.

    If each sample is one byte, the samples also get their usual order.
    """
    if data[14:18] == struct.pack("<I", _BMP_SHORT_HEAD) and len(data) > 30:
        start = struct.unpack_from("<I", data, 10)[0] + 40 - _BMP_SHORT_HEAD
        head = struct.pack("<II12s24x", start, 40, data[18:30])
        return data[:10] + head + data[14 + _BMP_SHORT_HEAD :]
    if data[28:34] != _BMP_MASKED or len(data) < 70:
        return data
    masks = struct.unpack_from("<III", data, 54)
    red, green, blue = (_BMP_WHOLE_BYTES.get(mask, -1) for mask in masks)
    if len({red, green, blue, -1}) != 4:
        return data
    start = struct.unpack_from("<I", data, 10)[0]
    old = data[start : len(data) - (len(data) - start) % 4]
    new = bytearray(len(old))
    for place, source in enumerate((blue, green, red, 6 - red - green - blue)):
        new[place::4] = old[source::4]
    usual = data[:54] + struct.pack("<III", 0xFF0000, 0xFF00, 0xFF) + data[66:start]
    if start >= 70 and any(data[66:70]):
        usual = usual[:66] + struct.pack("<I", 0xFF000000) + usual[70:]
    return usual + bytes(new)
