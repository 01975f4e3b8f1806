"""Interprets the media type that was declared for a file.

A declaration is only a hint: the bytes decide what a file is.
"""

import mimetypes

_BINARY = frozenset(
    {
        "application/pdf",
        "application/zip",
        "application/msword",
        "application/ogg",
        "application/gzip",
        "application/rtf",
    }
)
_TEXTUAL = ("+json", "+xml", "json", "jsonl", "jsonlines", "javascript", "php", "urlencoded")
_OFFICE = (
    "application/msword",
    "application/excel",
    "application/x-excel",
    "application/x-msexcel",
    "application/x-ms-excel",
    "application/x-xls",
    "application/x-doc",
    "application/x-msword",
    "application/vnd.openxmlformats-officedocument.",
    "application/vnd.oasis.opendocument.",
    "application/vnd.ms-excel",
    "application/vnd.ms-word",
)

_NO_TYPES = frozenset(
    {
        "",
        "application/octet-stream",
        "application/x-octet-stream",
        "binary/octet-stream",
        "application/binary",
        "application/x-binary",
        "application/download",
        "application/x-download",
        "application/force-download",
        "application/x-force-download",
        "application/unknown",
        "application/x-unknown",
    }
)
"""Types that servers give to any file that is to be saved and not shown."""

_NAMES = mimetypes.MimeTypes()
"""Python's built-in table of file extensions plus those that chats send.

The table of the operating system is not used, because a slim image has none.
"""
for _extension, _type in {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".7z": "application/x-7z-compressed",
    ".rar": "application/vnd.rar",
    ".gz": "application/gzip",
    ".rtf": "application/rtf",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".avif": "image/avif",
    ".webp": "image/webp",
    ".amr": "audio/amr",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".3gp": "video/3gpp",
    ".mkv": "video/x-matroska",
}.items():
    _NAMES.add_type(_type, _extension)


def plain_type(mime_type: str | None) -> str:
    """The media type in lower case without parameters; an empty string for None.

    `audio/ogg; codecs=opus` becomes `audio/ogg`.
    """
    return (mime_type or "").partition(";")[0].strip().lower()


def is_sound(mime_type: str | None) -> bool:
    """True if the type is a sound, whatever the provider calls the attachment."""
    plain = plain_type(mime_type)
    return plain.startswith("audio/") or plain == "application/ogg"


def is_binary(mime_type: str | None, filename: str | None = None) -> bool:
    """True if the file cannot be a text.

    An HTML page or a JSON body in its place is then an error page that was sent with
    status 200. The file name decides if there is no usable type.
    """
    plain = _promised_type(mime_type, filename)
    if plain.endswith(_TEXTUAL):
        return False
    return plain in _BINARY or plain.startswith(
        ("image/", "audio/", "video/", "application/vnd.", "application/x-")
    )


def is_office(mime_type: str | None, filename: str | None = None) -> bool:
    """True if the file is a document or a table of an office program.

    Such programs also write these as HTML pages.
    """
    return _promised_type(mime_type, filename).startswith(_OFFICE)


def _promised_type(mime_type: str | None, filename: str | None) -> str:
    """The declared type, or else the one that the file name suggests."""
    plain = plain_type(mime_type)
    if plain in _NO_TYPES:
        return _NAMES.guess_type(filename or "", strict=False)[0] or ""
    return plain
