"""What a file is, by its first bytes: never by its name, and only as a hint by what was declared."""

import codecs
import re
from dataclasses import dataclass
from typing import Literal

import filetype

Family = Literal["image", "audio", "video", "document", "web_page", "unknown"]

_AUDIO_BRANDS = (b"M4A ", b"M4B ", b"F4A ")
_IMAGE_BRANDS = {b"heic": "heic", b"heix": "heic", b"heim": "heic", b"heis": "heic", b"mif1": "heic", b"msf1": "heic", b"avif": "avif"}
_MARKUP = re.compile(rb"\s*(?:<!doctype html|<html|<head|<body|<script|<!--)", re.IGNORECASE)
_SVG = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<svg", re.IGNORECASE | re.DOTALL)
_FAMILIES: dict[str, Family] = {"image": "image", "audio": "audio", "video": "video"}
_OFFICE = {
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/zip": "zip",
}
_PLAIN = {"text/plain": "txt", "text/csv": "csv", "text/vcard": "vcf", "text/x-vcard": "vcf", "text/calendar": "ics"}
_EXTENSIONS = {"image/jpeg": "jpg", "video/quicktime": "mov", "audio/mpeg": "mp3"}


@dataclass(frozen=True, slots=True)
class Sniffed:
    """`extension` comes from a closed table, never from the sender."""

    mime: str
    extension: str
    family: Family


UNKNOWN = Sniffed("application/octet-stream", "bin", "unknown")


def sniff(head: bytes, declared: str | None) -> Sniffed:
    """The type of a file that begins with `head`. Holds for any bytes."""
    plain = (declared or "").partition(";")[0].strip().lower()
    if head.startswith(b"OggS"):
        return Sniffed("video/ogg", "ogv", "video") if b"theora" in head[:512] else Sniffed("audio/ogg", "ogg", "audio")
    if head[4:8] == b"ftyp":
        return _by_brand(head, plain)
    if head.startswith((b"#!AMR-WB\n", b"#!AMR\n")):
        return Sniffed("audio/amr", "amr", "audio")
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return Sniffed("audio/wav", "wav", "audio")
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6)):
        return Sniffed("audio/mpeg", "mp3", "audio")
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return Sniffed("audio/aac", "aac", "audio")
    if head.startswith(b"\x1aE\xdf\xa3"):
        return Sniffed("audio/webm", "weba", "audio") if plain.startswith("audio/") else Sniffed("video/webm", "webm", "video")
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
    if brand.startswith(b"3gp") and b"vide" not in head:
        return Sniffed("video/3gpp", "3gp", "video")
    return Sniffed("video/quicktime", "mov", "video") if brand == b"qt  " else Sniffed("video/mp4", "mp4", "video")


def _by_library(head: bytes, declared: str) -> Sniffed:
    guess = filetype.guess(head)
    if guess is not None:
        mime, extension = str(guess.mime), str(guess.extension)
        if mime == "application/zip" and declared in _OFFICE:
            return Sniffed(declared, _OFFICE[declared], "document")
        return Sniffed(mime, _EXTENSIONS.get(mime, extension), _FAMILIES.get(mime.partition("/")[0], "document"))
    stripped = head.lstrip()
    if stripped[:1] in (b"{", b"[") and declared.partition("/")[0] in ("image", "audio", "video"):
        return Sniffed("application/json", "txt", "web_page")  # an error body where a file was announced
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return UNKNOWN
    return Sniffed(declared if declared in _PLAIN else "text/plain", _PLAIN.get(declared, "txt"), "document") if head else UNKNOWN
