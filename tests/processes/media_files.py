"""Files for tests of decoders: those of tests/media, and a small picture of very many pixels."""

import struct
import zlib
from pathlib import Path

MEDIA = Path(__file__).parents[1] / "media"


def media(name: str) -> bytes:
    return (MEDIA / name).read_bytes()


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that has side × side pixels of one bit."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )
