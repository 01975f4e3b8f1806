"""Answers requests for files: ranges, entity tags, and headers against active content."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple

from fastapi.responses import Response, StreamingResponse

from connectors.console.problems import ConsoleProblem
from connectors.media.download import Downloaded
from storage.objects.store import CHUNK_BYTES, ObjectStore, Stored

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)
_SHOWN_INLINE = re.compile(r"image/(?!svg)[a-z0-9.+-]+|audio/[a-z0-9.+-]+|video/[a-z0-9.+-]+")
_SAFE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": "private, max-age=300",
    "accept-ranges": "bytes",
}
Pieces = Callable[[int, int], AsyncIterator[bytes]]
"""Takes an offset and a length, and yields that many bytes from the offset on, in chunks."""


class ByteRange(NamedTuple):
    """`length` bytes, beginning at `offset`."""

    offset: int
    length: int


class _File(NamedTuple):
    bytes: int
    mime: str
    etag: str


def safe_headers(mime: str) -> dict[str, str]:
    """Returns the headers for a file from an untrusted sender.

    Browsers may show images, audio and video; every other file is downloaded.
    """
    inline = _SHOWN_INLINE.fullmatch(mime) is not None
    return {**_SAFE, "content-disposition": "inline" if inline else "attachment"}


def span_of(value: str | None, size: int) -> ByteRange | None:
    """Returns the range that a Range header asks for, or None for the whole file.

    A header with several ranges, or one that cannot be parsed, is ignored. Raises
    ConsoleProblem 416.
    """
    match = _RANGE.fullmatch(value.strip()) if value else None
    if match is None or not (match[1] or match[2]):
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
        raise ConsoleProblem(
            416,
            "the requested range begins after the end of the file",
            {"content-range": f"bytes */{size}"},
        )
    return ByteRange(start, end - start + 1)


def answer_stored(
    store: ObjectStore, found: Stored, headers: Mapping[str, str], *, head: bool
) -> Response:
    """Answers with a stored object or the requested part of it. Raises ConsoleProblem 416."""

    def pieces(offset: int, length: int) -> AsyncIterator[bytes]:
        return store.stream(found.key, offset=offset, length=length)

    return _answer(_File(found.bytes, found.mime, found.etag), pieces, headers, head=head)


def answer_bytes(data: bytes, mime: str, etag: str, headers: Mapping[str, str]) -> Response:
    """Answers with these bytes or the requested part of them. Raises ConsoleProblem 416."""

    async def pieces(offset: int, length: int) -> AsyncIterator[bytes]:
        yield data[offset : offset + length]

    return _answer(_File(len(data), mime, etag), pieces, headers, head=False)


def answer_downloaded(file: Downloaded, mime: str, headers: Mapping[str, str]) -> Response:
    """Answers with a downloaded file or the requested part of it. Raises ConsoleProblem 416.

    The file is removed from the spool in every case.
    """
    handle = file.file

    async def pieces(offset: int, length: int) -> AsyncIterator[bytes]:
        with handle:
            handle.seek(offset)
            while length and (
                chunk := await asyncio.to_thread(handle.read, min(CHUNK_BYTES, length))
            ):
                length -= len(chunk)
                yield chunk

    try:
        answer = _answer(_File(file.bytes, mime, file.sha256), pieces, headers, head=False)
    except ConsoleProblem:
        file.discard()
        raise
    if not isinstance(answer, StreamingResponse):
        file.discard()
    return answer


def _answer(file: _File, pieces: Pieces, headers: Mapping[str, str], *, head: bool) -> Response:
    tag = f'"{file.etag}"'
    answer = {**safe_headers(file.mime), "etag": tag}
    known = [
        part.strip().removeprefix("W/") for part in headers.get("if-none-match", "").split(",")
    ]
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers=answer)
    ranged = not head and headers.get("if-range", tag) == tag  # HEAD ignores Range (RFC 9110, 14.2)
    span = span_of(headers.get("range") if ranged else None, file.bytes)
    status, offset, length = 200, 0, file.bytes
    if span is not None:
        status, (offset, length) = 206, span
        answer["content-range"] = f"bytes {offset}-{offset + length - 1}/{file.bytes}"
    answer["content-length"] = str(length)
    if head or length == 0:
        return Response(status_code=status, headers=answer, media_type=file.mime)
    return StreamingResponse(pieces(offset, length), status, answer, media_type=file.mime)
