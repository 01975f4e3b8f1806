"""Corrects the size of the samples in a WAV whose recorder wrote a wrong one."""

import struct

_UNKNOWN_SIZES = (0, 0xFFFF_FFFF)
"""Declared sizes that mean "unknown". FFmpeg then reads to the end of the file by itself."""
_MOST_LEFT_OUT = 4
"""Bytes after the samples count as junk if they are less than this fraction of them."""


def with_true_size(data: bytes) -> bytes:
    """The same WAV, with samples up to its end unless another chunk follows them."""
    at = 12
    while len(head := data[at : at + 8]) == 8:
        kind, size = struct.unpack("<4sI", head)
        end = at + 8 + size
        if kind == b"data":
            rest = len(data) - end
            if size in _UNKNOWN_SIZES or rest < max(8, size // _MOST_LEFT_OUT):
                return data
            if _is_chunk(data, end) or _is_chunk(data, end + size % 2):
                return data
            return data[: at + 4] + struct.pack("<I", len(data) - at - 8) + data[at + 8 :]
        at = end + size % 2
    return data


def _is_chunk(data: bytes, at: int) -> bool:
    if at + 8 > len(data):
        return False
    kind, size = struct.unpack_from("<4sI", data, at)
    return all(0x20 <= byte < 0x7F for byte in kind) and at + 8 + size <= len(data) + 1
