"""Decodes the Content-Encoding of a file.

Requests ask for files without an encoding. Some servers send one nevertheless, and many
send a label that is not the name of an encoding; browsers ignore such labels, and so
does this module.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from connectors.errors import ConnectorsError
from schemas.media import plain_type

PIECE_BYTES = 256 * 1024
MOST_MEMBERS = 10_000
_GZIP = frozenset({"gzip", "x-gzip"})
_CODINGS = frozenset(
    # the IANA registry of content codings, but for identity
    {"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip"}
    | {"x-compress", "x-gzip", "zstd"}
)
_GZIP_FILES = frozenset(
    {"application/gzip", "application/x-gzip", "application/x-tar+gzip", "application/x-gtar"}
    | {"application/x-tgz", "application/x-compressed-tar", "application/x-gzip-compressed"}
)


class UnknownCoding(ConnectorsError):
    """The encoding is not supported here, or the bytes do not match their label."""


class CutShort(ConnectorsError):
    """The encoded bytes end before the file does."""


class Coding(Protocol):
    """Decodes what a server sends, in pieces of at most PIECE_BYTES."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises UnknownCoding if the bytes are not valid in this encoding."""
        ...

    def finish(self) -> None:
        """Raises CutShort if bytes are missing."""
        ...


class Identity:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        return None


class Deflated:
    """gzip or deflate, possibly of several members.

    A file with the gzip label that is not encoded passes unchanged: a JPEG that a
    server labels as gzip is still a JPEG.
    """

    def __init__(self, coding: str) -> None:
        self._is_gzip = coding in _GZIP
        self._start = b""
        self._inner: zlib._Decompress | None = None
        self._is_plain = False
        self._members = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inner is None and not self._is_plain:
            self._start += data
            if len(self._start) < 2:
                return
            data, self._start = self._start, b""
            self._begin(data[:2])
        if self._is_plain:
            yield data
        else:
            yield from self._inflated(data)

    def finish(self) -> None:
        if self._start or (self._inner is not None and not self._inner.eof):
            raise CutShort

    def _begin(self, start: bytes) -> None:
        is_zlib = start[0] & 0x0F == 8 and int.from_bytes(start) % 31 == 0
        if self._is_gzip and start != b"\x1f\x8b":
            self._is_plain = True
        elif self._is_gzip:
            self._next_member()
        else:  # deflate means zlib's format; some servers omit its two header bytes
            self._inner = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)

    def _inflated(self, data: bytes) -> Iterator[bytes]:
        assert self._inner is not None
        piece = b""
        while data or len(piece) == PIECE_BYTES:  # after a full piece there may be more
            if self._inner.eof:
                if not (self._is_gzip and data.startswith(b"\x1f\x8b")):
                    return  # padding after the last member
                self._next_member()
            try:
                piece = self._inner.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise UnknownCoding from None
            if piece:
                yield piece
            data = self._inner.unconsumed_tail or self._inner.unused_data

    def _next_member(self) -> None:
        self._members += 1
        if self._members > MOST_MEMBERS:  # empty members cost time and contain nothing
            raise UnknownCoding
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 16)


def coding_of(labels: Iterable[str], content_type: str) -> Coding:
    """The decoder for the Content-Encoding headers.

    Raises UnknownCoding for an unsupported encoding. A list of encodings is
    unsupported: each layer can grow a thousandfold, and only the last one would be
    measured. A gzip file whose server repeats its type as its encoding stays
    compressed, as in browsers.
    """
    named = [
        label
        for part in labels
        for label in map(str.strip, part.lower().split(","))
        if label in _CODINGS
    ]
    if not named or (set(named) <= _GZIP and plain_type(content_type) in _GZIP_FILES):
        return Identity()
    if len(named) > 1 or not (named[0] in _GZIP or named[0] == "deflate"):
        raise UnknownCoding
    return Deflated(named[0])
