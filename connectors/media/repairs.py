"""Takes out of a picture what is not needed to show it, because extras are often damaged."""

import struct
import zlib

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_JPEG_HEAD = b"\xff\xd8"
_JPEG_SCAN = 0xDA
_JPEG_EXTRAS = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
"""Application segments and comments. JFIF (E0) and Adobe (EE) say how colours are stored."""
_JPEG_TABLES = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDD})
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"ALPH")
_WEBP_HAS_ALPHA = 0x10
_BRANDS = (b"avif", b"heic", b"heix", b"mif1", b"avis", b"hevc", b"hevx", b"msf1")
"""By which an opener knows its kind of picture: those of a still picture come first."""


def with_usual_brand(data: bytes) -> bytes:
    """The same AVIF or HEIC under one of its compatible brands, if its major brand is unusual."""
    if data[4:8] != b"ftyp" or data[8:12] in _BRANDS:
        return data
    end = min(int.from_bytes(data[:4], "big"), 256)
    compatible = {data[at : at + 4] for at in range(16, end, 4)}
    brand = next((brand for brand in _BRANDS if brand in compatible), data[8:12])
    return data[:8] + brand + data[12:]


def without_extras(data: bytes) -> bytes:
    """The same picture without metadata, profiles and comments. Other kinds are as they were."""
    if data.startswith(_PNG_HEAD):
        return _plain_png(data)
    if data.startswith(_JPEG_HEAD):
        return _plain_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _plain_webp(data)
    return data


def _plain_png(data: bytes) -> bytes:
    parts, at = [_PNG_HEAD], len(_PNG_HEAD)
    while len(head := data[at : at + 8]) == 8:
        size, kind = struct.unpack(">I4s", head)
        body = data[at + 8 : at + 8 + size]
        if len(body) < size and kind != b"IDAT":  # a size that cannot be: look for the pixels
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
        if marker in _JPEG_TABLES or marker in (0xE0, 0xEE):
            parts.append(data[at : at + size])
        elif marker not in _JPEG_EXTRAS or follows != b"\xff":
            size = 2  # not a segment, or one with a wrong size: look for the next marker
        at += size
    return data


def _plain_webp(data: bytes) -> bytes:
    chunks: dict[bytes, bytes] = {}
    at, size_head = 12, b""
    while len(head := data[at : at + 8]) == 8:
        kind, size = struct.unpack("<4sI", head)
        body = data[at + 8 : at + 8 + size]
        if kind == b"VP8X":
            size_head = body[4:10]
        if kind in _WEBP_PIXELS and kind not in chunks:
            chunks[kind] = body
        at += 8 + size + size % 2
    parts = [
        _webp_chunk(kind, chunks[kind]) for kind in (b"ALPH", b"VP8 ", b"VP8L") if kind in chunks
    ]
    if b"ALPH" in chunks:
        flags = bytes([_WEBP_HAS_ALPHA, 0, 0, 0])
        parts.insert(0, _webp_chunk(b"VP8X", flags + size_head))
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)
