"""What a declared media type promises. Declarations are hints: what a file is, its bytes say."""

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
_TEXTUAL = ("+json", "+xml")


def plain_type(mime_type: str | None) -> str:
    """Without parameters, in lower case; empty for none: `audio/ogg; codecs=opus` is `audio/ogg`."""
    return (mime_type or "").partition(";")[0].strip().lower()


def is_sound(mime_type: str | None) -> bool:
    """Whether it is sound, whatever the provider calls the attachment."""
    plain = plain_type(mime_type)
    return plain.startswith("audio/") or plain == "application/ogg"


def is_binary(mime_type: str | None, filename: str | None = None) -> bool:
    """Whether no text can be meant: a page or a JSON body in its place is an error that came with 200. Without a type its name tells."""
    plain = plain_type(mime_type)
    if plain in ("", "application/octet-stream"):
        plain = mimetypes.guess_type(filename or "", strict=False)[0] or ""
    if plain.endswith(_TEXTUAL):
        return False
    return plain in _BINARY or plain.startswith(
        ("image/", "audio/", "video/", "application/vnd.", "application/x-")
    )
