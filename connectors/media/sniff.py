"""Determines what a file is by its first bytes.

Its name is never used, and the declared type only as a hint.
"""

import io
import re
from dataclasses import dataclass
from typing import BinaryIO, Literal

from connectors.media.containers import iso_has_only_sound, matroska, ogg_has_film, still_brand
from connectors.media.signatures import by_signature, frames_within, is_adts, is_mpeg_audio
from connectors.media.texts import plain_text, unmarked_text, words_of_a_code_page
from schemas.media import is_binary, plain_type

Family = Literal["image", "audio", "video", "document", "web_page", "office_page", "unknown"]
"""`web_page`: an HTML page or error body that a server sent instead of a file.

`office_page`: a page that is a document of an office program, as banks and accounting
systems export them.
"""

_AUDIO_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "})
_PROLOG = r"(?:\s|<!--(?>.*?-->))*+"
_XML = r"\s*+(?:<\?xml[^>]*+>)?" + _PROLOG
"""The possessive quantifiers prevent backtracking.

Otherwise a page of comments would be tried in every grouping of them.
"""
_PAGE = re.compile(
    rf"{_XML}(?:<!doctype\s++html|<html[\s>])|{_PROLOG}<(?:head|body|script|iframe|style|title|meta"
    r"|link|center|table|div|font|h1|br|p|b|a)[\s>/]|\s*+<!--",
    re.IGNORECASE | re.DOTALL,
)
"""The beginnings of pages in the MIME Sniffing Standard, and some of error pages."""
_SVG = re.compile(
    rf"{_XML}(?:<!doctype\s++svg[^>]*+>{_PROLOG})?<svg[\s>]", re.IGNORECASE | re.DOTALL
)
_OFFICE_NAMES = re.compile(
    r"""urn:schemas-microsoft-com:office:(?:excel|word|office)|name=["']?ProgId""", re.IGNORECASE
)
_TABLE = re.compile(r"<table[\s>]", re.IGNORECASE)
_ASKS = re.compile(
    r"""<(?:button|iframe)[\s>/]|<input(?![^<>]*type\s{0,9}=\s{0,9}["']?hidden)[\s>/]
    |<form[^<>]*(?:(?:log|sign)[-_]?(?:in|on)|oauth|saml)
    |\blocation(?:\s{0,9}=|\[|\.(?:href|replace|assign))|forms\[\d+\]\.submit
    |onload\s{0,9}=[^<>]{0,200}submit
    |http-equiv\s{0,9}=\s{0,9}["']?refresh|name\s{0,9}=\s{0,9}["']?SAMLRe""",
    re.IGNORECASE | re.VERBOSE,
)
"""Marks of a page that asks a person for something, such as a login, or that redirects.

Programs that export a table leave scripts and hidden fields in it, which do not count.
"""
_BEGINNING_BYTES = 65_536
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
    """The result. `extension` comes from a closed table, never from the sender."""

    mime: str
    extension: str
    family: Family


_ISO_SOUND = {
    "video/mp4": Sniffed("audio/mp4", "m4a", "audio"),
    "video/quicktime": Sniffed("audio/mp4", "m4a", "audio"),
    "video/3gpp": Sniffed("audio/3gpp", "3gp", "audio"),
    "video/3gpp2": Sniffed("audio/3gpp2", "3g2", "audio"),
}
"""Containers for video or sound, and their type if they contain only sound."""
_WRITTEN = {
    "%PDF-": Sniffed("application/pdf", "pdf", "document"),
    "{\\rtf": Sniffed("application/rtf", "rtf", "document"),
    "%!PS": Sniffed("application/postscript", "ps", "document"),
}
"""Formats that may consist of text only."""
_SOUNDS: dict[str | None, Sniffed] = {
    "audio/mpeg": Sniffed("audio/mpeg", "mp3", "audio"),
    "audio/aac": Sniffed("audio/aac", "aac", "audio"),
}
UNKNOWN = Sniffed("application/octet-stream", "bin", "unknown")


def sniff_file(file: BinaryIO, head: bytes, declared: str | None) -> Sniffed:
    """The type of a whole file.

    A video without pictures is a voice note, whatever it was declared as.
    """
    if not head:
        return UNKNOWN
    plain = plain_type(declared)
    is_text = plain.startswith("text/")
    text = plain_text(head)
    if text is None and not (is_mpeg_audio(head) or is_adts(head)):
        text = words_of_a_code_page(head, is_text)
    if text is not None:
        return _written(text, plain, file)
    found = _media(head, plain, file) or _by_library(head, plain)
    if found is None and plain.startswith("audio/"):
        found = _SOUNDS.get(frames_within(_beginning(file)))
    if found is not None:
        return found
    text = unmarked_text(head, is_text)
    return _written(text, plain, file) if text is not None else UNKNOWN


def sniff(head: bytes, declared: str | None) -> Sniffed:
    """The type of a file that begins with `head`. Accepts any bytes."""
    return sniff_file(io.BytesIO(head), head, declared)


def _beginning(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(_BEGINNING_BYTES)


def _media(head: bytes, declared: str, file: BinaryIO) -> Sniffed | None:
    """Sound and video, whose containers are examined."""
    if head.startswith(b"OggS\0"):
        if ogg_has_film(head):
            return Sniffed("video/ogg", "ogv", "video")
        return Sniffed("audio/ogg", "ogg", "audio")
    if head[4:8] == b"ftyp" and len(head) >= 12:
        return _by_brand(head, declared, file)
    if head.startswith((b"#!AMR-WB\n", b"#!AMR\n")):
        return Sniffed("audio/amr", "amr", "audio")
    if head.startswith((b"RIFF", b"RF64")) and head[8:12] == b"WAVE":
        return Sniffed("audio/wav", "wav", "audio")
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _matroska(declared, file)
    if head.startswith(b"fLaC"):
        return Sniffed("audio/flac", "flac", "audio")
    if head.startswith(b"caff\0"):
        return Sniffed("audio/x-caf", "caf", "audio")
    if is_mpeg_audio(head):
        return _SOUNDS["audio/mpeg"]
    if is_adts(head):
        return _SOUNDS["audio/aac"]
    return None


def _by_brand(head: bytes, declared: str, file: BinaryIO) -> Sniffed:
    """The type of an ISO media file.

    Brands tell pictures and sound from video; a voice note in an mp4 container is
    declared as audio.
    """
    still = still_brand(head, is_declared=declared.startswith("image/"))
    if still is not None:
        return Sniffed(f"image/{still}", still, "image")
    brand = head[8:12]
    if brand in _AUDIO_BRANDS or declared.startswith("audio/"):
        return Sniffed("audio/mp4", "m4a", "audio")
    if brand.startswith(b"3g2"):
        film = Sniffed("video/3gpp2", "3g2", "video")
    elif brand.startswith(b"3gp"):
        film = Sniffed("video/3gpp", "3gp", "video")
    elif brand == b"qt  ":
        film = Sniffed("video/quicktime", "mov", "video")
    else:
        film = Sniffed("video/mp4", "mp4", "video")
    return _ISO_SOUND[film.mime] if iso_has_only_sound(file) else film


def _matroska(declared: str, file: BinaryIO) -> Sniffed:
    found = matroska(file)
    is_sound = found.has_only_sound or declared.startswith("audio/")
    if found.doctype == "matroska":
        return (
            Sniffed("audio/x-matroska", "mka", "audio")
            if is_sound
            else Sniffed("video/x-matroska", "mkv", "video")
        )
    return (
        Sniffed("audio/webm", "weba", "audio")
        if is_sound
        else Sniffed("video/webm", "webm", "video")
    )


def _by_library(head: bytes, declared: str) -> Sniffed | None:
    found = by_signature(head)
    if found is None:
        return None
    mime, extension = found
    if mime == "application/zip" and declared in _OFFICE:
        return Sniffed(declared, _OFFICE[declared], "document")
    family = _FAMILIES.get(mime.partition("/")[0], "document")
    return Sniffed(mime, _EXTENSIONS.get(mime, extension), family)


def _written(text: str, declared: str, file: BinaryIO) -> Sniffed:
    """The type of a text: a format that is written as text, a page, or words."""
    text = text.lstrip("\ufeff")  # a second byte order mark
    for beginning, written in _WRITTEN.items():
        if text.startswith(beginning):
            return written
    if _SVG.match(text):
        return Sniffed("image/svg+xml", "bin", "document")
    if _PAGE.match(text):
        return Sniffed("text/html", "txt", "office_page" if _is_export(file) else "web_page")
    if text.lstrip()[:1] in ("{", "[") and is_binary(declared):
        # an error body instead of the announced file
        return Sniffed("application/json", "txt", "web_page")
    mime = declared if declared in _PLAIN else "text/plain"
    return Sniffed(mime, _PLAIN[mime], "document")


def _is_export(page: BinaryIO) -> bool:
    """True if the page is a document of an office program.

    Its table may come after long styles.
    """
    # Tags are ASCII: without zero bytes, text in any Unicode encoding can be searched.
    text = _beginning(page).replace(b"\0", b"").decode("latin-1")
    if _OFFICE_NAMES.search(text):
        return True
    return bool(_TABLE.search(text)) and not _ASKS.search(text)
