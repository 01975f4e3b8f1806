"""Stored files over HTTP: ranges, tags, and nothing that a browser would run."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from fastapi.responses import Response, StreamingResponse

from connectors.console.problems import Problem
from storage.objects.store import ObjectStore, Stored

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_SHOWN_INLINE = re.compile(r"image/(?!svg)[a-z0-9.+-]+|audio/[a-z0-9.+-]+|video/[a-z0-9.+-]+")
_SAFE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": "private, max-age=300",
    "accept-ranges": "bytes",
}


class Span(NamedTuple):
    """`length` bytes from `offset` on."""

    offset: int
    length: int


def safe_headers(mime: str) -> dict[str, str]:
    """Headers of any file a stranger sent: images, sound and film may show themselves, the rest is to be saved."""
    inline = _SHOWN_INLINE.fullmatch(mime) is not None
    return {**_SAFE, "content-disposition": "inline" if inline else "attachment"}


def span_of(value: str | None, size: int) -> Span | None:
    """The one span a Range header asks for; None: the whole file (none, several, or not understood). Raises Problem 416."""
    match = _RANGE.fullmatch(value.strip()) if value else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        length = min(int(last), size)
        start, end = size - length, size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < int(first):
            return None
    if start >= size or end < start:
        raise Problem(416, "the file is not that long", {"content-range": f"bytes */{size}"})
    return Span(start, end - start + 1)


async def answer_file(store: ObjectStore, found: Stored, headers: Mapping[str, str], *, head: bool) -> Response:
    """The object, or the part of it that was asked for. Raises Problem 416."""
    tag = f'"{found.etag}"'
    answer = {**safe_headers(found.mime), "etag": tag}
    if tag in (part.strip().removeprefix("W/") for part in headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=answer)
    same = headers.get("if-range", tag) == tag
    span = span_of(headers.get("range") if same else None, found.bytes)
    status, offset, length = 200, 0, found.bytes
    if span is not None:
        status, (offset, length) = 206, span
        answer["content-range"] = f"bytes {offset}-{offset + length - 1}/{found.bytes}"
    answer["content-length"] = str(length)
    if head or length == 0:
        return Response(status_code=status, headers=answer, media_type=found.mime)
    return StreamingResponse(store.stream(found.key, offset=offset, length=length), status, answer, media_type=found.mime)
