"""What a file is, by its first bytes: never by its name, and only as a hint by what was declared."""

import codecs
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import filetype

from schemas.media import is_binary, plain_type

Family = Literal["image", "audio", "video", "document", "web_page", "unknown"]

_AUDIO_BRANDS = (b"M4A ", b"M4B ", b"F4A ")
_IMAGE_BRANDS = {
    b"heic": "heic",
    b"heix": "heic",
    b"heim": "heic",
    b"heis": "heic",
    b"hevc": "heic",
    b"hevx": "heic",
    b"mif1": "heic",
    b"msf1": "heic",
    b"avif": "avif",
}
_MARKUP = re.compile(rb"\s*(?:<!doctype html|<html|<head|<body|<script|<!--)", re.IGNORECASE)
_SVG = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<svg", re.IGNORECASE | re.DOTALL)
_FAMILIES: dict[str, Family] = {"image": "image", "audio": "audio", "video": "video"}
_OFFICE = {
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/zip": "zip",
}
_PLAIN = {
    "text/plain": "txt",
    "text/csv": "csv",
    "text/vcard": "vcf",
    "text/x-vcard": "vcf",
    "text/calendar": "ics",
}
_EXTENSIONS = {"image/jpeg": "jpg", "video/quicktime": "mov", "audio/mpeg": "mp3"}


@dataclass(frozen=True, slots=True)
class Sniffed:
    """`extension` comes from a closed table, never from the sender."""

    mime: str
    extension: str
    family: Family


_FILMS = {
    "video/mp4": Sniffed("audio/mp4", "m4a", "audio"),
    "video/quicktime": Sniffed("audio/mp4", "m4a", "audio"),
    "video/3gpp": Sniffed("audio/3gpp", "3gp", "audio"),
}
"""Containers that hold film or only sound, and what they are with only sound."""
_LARGEST_INDEX_BYTES = 8_000_000
_MOST_BOXES = 256
_HANDLER = re.compile(rb"hdlr.{8}(soun|vide)", re.DOTALL)
UNKNOWN = Sniffed("application/octet-stream", "bin", "unknown")


def sniff_file(path: Path, head: bytes, declared: str | None) -> Sniffed:
    """The type of a whole file. A film without pictures, whatever it was declared as, is a voice note."""
    found = sniff(head, declared)
    return _FILMS[found.mime] if found.mime in _FILMS and _holds_only_sound(path) else found


def _holds_only_sound(path: Path) -> bool:
    """Whether the index of an ISO media file, which stands at its beginning or at its end, names sound and no picture."""
    at = 0
    with path.open("rb") as file:
        for _ in range(_MOST_BOXES):
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return False
            size, kind = struct.unpack(">I4s", head[:8])
            if size == 1 and len(head) == 16:
                (size,) = struct.unpack(">Q", head[8:])
            if kind == b"moov":
                handlers = set(_HANDLER.findall(file.read(_LARGEST_INDEX_BYTES)[: max(size, 0)]))
                return size <= _LARGEST_INDEX_BYTES and handlers == {b"soun"}
            if size < 8:
                return False
            at += size
    return False


def sniff(head: bytes, declared: str | None) -> Sniffed:
    """The type of a file that begins with `head`. Holds for any bytes."""
    plain = plain_type(declared)
    if head.startswith(b"OggS"):
        return (
            Sniffed("video/ogg", "ogv", "video")
            if b"theora" in head[:512]
            else Sniffed("audio/ogg", "ogg", "audio")
        )
    if head[4:8] == b"ftyp":
        return _by_brand(head, plain)
    if head.startswith((b"#!AMR-WB\n", b"#!AMR\n")):
        return Sniffed("audio/amr", "amr", "audio")
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return Sniffed("audio/wav", "wav", "audio")
    if head.startswith(b"ID3") or (
        len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6)
    ):
        return Sniffed("audio/mpeg", "mp3", "audio")
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return Sniffed("audio/aac", "aac", "audio")
    if head.startswith(b"\x1aE\xdf\xa3"):
        return (
            Sniffed("audio/webm", "weba", "audio")
            if plain.startswith("audio/")
            else Sniffed("video/webm", "webm", "video")
        )
    if head.startswith(b"fLaC"):
        return Sniffed("audio/flac", "flac", "audio")
    if _MARKUP.match(head):
        return Sniffed("text/html", "txt", "web_page")
    if _SVG.match(head):
        return Sniffed("image/svg+xml", "bin", "document")
    return _by_library(head, plain)


def _by_brand(head: bytes, declared: str) -> Sniffed:
    """ISO media: the brand tells pictures and sound from film; a voice note in an mp4 container says audio in its declaration."""
    brand = head[8:12]
    if brand in _IMAGE_BRANDS:
        kind = _IMAGE_BRANDS[brand]
        return Sniffed(f"image/{kind}", kind, "image")
    if brand in _AUDIO_BRANDS or declared.startswith("audio/"):
        return Sniffed("audio/mp4", "m4a", "audio")
    if brand.startswith(b"3gp"):
        return Sniffed("video/3gpp", "3gp", "video")
    return (
        Sniffed("video/quicktime", "mov", "video")
        if brand == b"qt  "
        else Sniffed("video/mp4", "mp4", "video")
    )


def _by_library(head: bytes, declared: str) -> Sniffed:
    guess = filetype.guess(head)
    if guess is not None:
        mime, extension = str(guess.mime), str(guess.extension)
        if mime == "application/zip" and declared in _OFFICE:
            return Sniffed(declared, _OFFICE[declared], "document")
        return Sniffed(
            mime,
            _EXTENSIONS.get(mime, extension),
            _FAMILIES.get(mime.partition("/")[0], "document"),
        )
    stripped = head.lstrip()
    if stripped[:1] in (b"{", b"[") and is_binary(declared):
        return Sniffed(
            "application/json", "txt", "web_page"
        )  # an error body where a file was announced
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return UNKNOWN
    return (
        Sniffed(
            declared if declared in _PLAIN else "text/plain",
            _PLAIN.get(declared, "txt"),
            "document",
        )
        if head
        else UNKNOWN
    )
