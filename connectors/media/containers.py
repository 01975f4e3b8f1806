"""Finds out whether a container holds video or only sound: ISO media, Matroska and Ogg.

All work is bounded, and every function returns for any bytes.
"""

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

_LARGEST_INDEX_BYTES = 8_000_000
_MOST_BOXES = 256
_HANDLER = re.compile(rb"hdlr.{8}(soun|vide)", re.DOTALL)

_LARGEST_TRACKS_BYTES = 1_000_000
_MOST_ELEMENTS = 1_024
_EBML, _DOCTYPE, _SEGMENT = 0x1A45DFA3, 0x4282, 0x18538067
_TRACKS, _ENTRY, _TYPE = 0x1654AE6B, 0xAE, 0x83
_PICTURES, _SOUND = 1, 2

_OGG_FILMS = (b"\x80theora", b"OVP80", b"BBCD\0", b"\x80daala", b"\x01video\0")

_STILLS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"avif", b"avis"}
)
_AV1 = frozenset({b"avif", b"avis", b"avio"})
_OTHER_STILLS = frozenset(
    {b"mif1", b"mif2", b"msf1", b"miaf", b"avio", b"1pic", b"jpeg", b"jpgs", b"avci", b"avcs"}
    | {b"j2ki", b"j2is", b"vvic", b"vvis"}
)
_MOST_BRANDS = 64


def still_brand(head: bytes, *, is_declared: bool = False) -> Literal["heic", "avif"] | None:
    """The kind of picture or sequence of pictures in an ISO media file, or None.

    The major brand may be one that any picture has (mif1, msf1); then the compatible
    brands decide. A video is not a picture even if its brands say it can be read as
    one, unless it was declared as a picture.
    """
    (size,) = struct.unpack(">I", head[:4])
    end = min(len(head), size if size >= 16 else 16, 16 + 4 * _MOST_BRANDS)
    major = head[8:12]
    brands = {head[at : at + 4] for at in range(16, end - 3, 4)}
    if major not in _STILLS | _OTHER_STILLS:
        if not is_declared or not brands & _STILLS:
            return None
        return "avif" if brands & _AV1 else "heic"
    if major in _STILLS:
        return "avif" if major in _AV1 else "heic"
    return "avif" if (brands | {major}) & _AV1 else "heic"


def iso_has_only_sound(file: BinaryIO) -> bool:
    """True if the index of an ISO media file lists sound and no video.

    The index is at the beginning or the end of the file.
    """
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return False
        size, kind = struct.unpack(">I4s", head[:8])
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack(">Q", head[8:])
        if kind == b"moov":
            file.seek(at)
            index = file.read(min(size, _LARGEST_INDEX_BYTES + 1)) if size else b""
            is_whole = len(index) == size <= _LARGEST_INDEX_BYTES
            return is_whole and set(_HANDLER.findall(index)) == {b"soun"}
        if size < 8 or at + size > 2**62:
            return False
        at += size
    return False


class Matroska(NamedTuple):
    """What a Matroska file declares.

    `has_only_sound` is also false if the tracks were not found.
    """

    doctype: str
    has_only_sound: bool


def matroska(file: BinaryIO) -> Matroska:
    """The document type and tracks that a Matroska or WebM file declares."""
    doctype, types = "", set()
    for element in _top_elements(file):
        if element.id == _DOCTYPE:
            doctype = element.content(file, 16).rstrip(b"\0").decode("ascii", errors="replace")
        elif element.id == _TRACKS:
            types = set(_track_types(element.content(file, _LARGEST_TRACKS_BYTES)))
            break
    return Matroska(doctype, _SOUND in types and _PICTURES not in types)


class _Element(NamedTuple):
    """The head of one element. `size` is None if the element ends where its parent does."""

    id: int
    at: int
    size: int | None

    def content(self, file: BinaryIO, most: int) -> bytes:
        """The bytes of the element, or none if there are more than `most`."""
        if self.size is None or self.size > most:
            return b""
        file.seek(self.at)
        return file.read(self.size)


def _top_elements(file: BinaryIO) -> Iterator[_Element]:
    """Yields the elements of the header and of the segment, without their children."""
    at = 0
    for _ in range(_MOST_ELEMENTS):
        file.seek(at)
        element = _element(file.read(12), at)
        if element is None:
            return
        yield element
        if element.id in (_EBML, _SEGMENT):
            at = element.at
        elif element.size is None or element.at + element.size > 2**62:
            return  # a cluster of a live recording: tracks would have come before it
        else:
            at = element.at + element.size


def _track_types(tracks: bytes) -> Iterator[int]:
    for entry in _children(tracks):
        if entry.id == _ENTRY and entry.size is not None:
            content = tracks[entry.at : entry.at + entry.size]
            for field in _children(content):
                if field.id == _TYPE and field.size:
                    yield int.from_bytes(content[field.at : field.at + min(field.size, 8)])


def _children(content: bytes) -> Iterator[_Element]:
    at = 0
    for _ in range(_MOST_ELEMENTS):
        element = _element(content[at : at + 12], at)
        if element is None or element.size is None:
            return
        yield element
        at = element.at + element.size


def _element(head: bytes, at: int) -> _Element | None:
    """The element whose id and size (RFC 8794) begin with `head`, which is at offset `at`."""
    id_length = _length(head, 4)
    size_length = _length(head[id_length:], 8) if id_length else 0
    if not size_length or len(head) < id_length + size_length:
        return None
    number = int.from_bytes(head[:id_length])
    mask = (1 << 7 * size_length) - 1
    size = int.from_bytes(head[id_length : id_length + size_length]) & mask
    return _Element(number, at + id_length + size_length, None if size == mask else size)


def _length(head: bytes, most: int) -> int:
    """The number of bytes of a variable-length number, or 0 if it is not one.

    It is one more than the number of leading zero bits.
    """
    length = 9 - head[0].bit_length() if head else 9
    return length if length <= most else 0


def ogg_has_film(head: bytes) -> bool:
    """True if one of the streams that begin in an Ogg file is video.

    Each stream first has a page of its own.
    """
    at = 0
    while head[at : at + 4] == b"OggS" and len(head) >= at + 27 and head[at + 5] & 2:
        segments = head[at + 27 : at + 27 + head[at + 26]]
        begin = at + 27 + len(segments)
        if head[begin:].startswith(_OGG_FILMS):
            return True
        at = begin + sum(segments)
    return False
