"""Holds files on their way from a stranger's server to the object store.

A spooled file has no name. It can only be opened through the descriptor that is passed
on, so no program can replace it between two steps, and the system removes it even if
the process is killed. Reading, decoding, hashing and writing happen in threads of this
module.
"""

import asyncio
import builtins
import errno
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from connectors.media.codings import Coding, CutShort, Identity, UnknownCoding
from schemas.fetching import FileGone
from schemas.outcomes import Unavailable

T = TypeVar("T")
HEAD_BYTES = 4_096
WRITE_BYTES = 256 * 1024
DISK_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file in the spool, and its first bytes (`head`).

    The caller discards it. `file` is open for reading at any position, so a reader
    seeks first.
    """

    file: BinaryIO = field(repr=False)
    bytes: int
    sha256: str
    content_type: str
    head: builtins.bytes

    def discard(self) -> None:
        """Closes the file, which removes it."""
        self.file.close()


class Spool:
    """A place for files without names.

    Errors of the disk become Unavailable("disk").
    """

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is created if missing.

        The default is the system's temporary folder.
        """
        self._folder = folder
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="spool")

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def fill(
        self,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        max_bytes: int,
        coding: Coding | None = None,
    ) -> Downloaded:
        """Writes `chunks` to a new file.

        Raises FileGone (too large, empty, wrong encoding), Unavailable, and what
        `chunks` raises. No file is left then.
        """
        file = await self._open()
        try:
            filling = _Filling(file, coding or Identity(), max_bytes)
            waiting, size = [], 0
            async for chunk in chunks:
                waiting.append(chunk)
                size += len(chunk)
                if size >= WRITE_BYTES:
                    data, waiting, size = b"".join(waiting), [], 0
                    await self._in_thread(lambda data=data: filling.write(data))  # type: ignore[misc]
            return await self._in_thread(lambda: filling.finished(b"".join(waiting), content_type))
        except BaseException:
            # The spool was closed: the file ends with the process.
            with suppress(RuntimeError):
                # In a thread, because another thread may be writing to it.
                self._threads.submit(file.close)
            raise

    async def _open(self) -> BinaryIO:
        """Opens a new file.

        If the caller is cancelled while a thread opens it, the file is closed again.
        """
        opening = self._threads.submit(self._opened)
        try:
            return await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)
            raise
        except OSError as error:
            raise _disk_trouble(error) from error

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Runs disk access in a thread.

        An error of the disk says nothing about the file.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except OSError as error:
            raise _disk_trouble(error) from error

    def _opened(self) -> BinaryIO:
        try:
            return self._unnamed()
        except FileNotFoundError:  # something removed the folder
            Path(self._folder or tempfile.gettempdir()).mkdir(0o700, parents=True, exist_ok=True)
            return self._unnamed()

    def _unnamed(self) -> BinaryIO:
        return cast(
            BinaryIO, tempfile.TemporaryFile("w+b", buffering=WRITE_BYTES, dir=self._folder)
        )


def _disk_trouble(error: OSError) -> Unavailable:
    detail = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return Unavailable("disk", DISK_RETRY_SECONDS, detail=detail)


def _close_opened(opening: "Future[BinaryIO]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class _Filling:
    """The file while it is being written. Its methods block."""

    def __init__(self, file: BinaryIO, coding: Coding, max_bytes: int) -> None:
        self._file = file
        self._coding = coding
        self._max_bytes = max_bytes
        self._coded_bytes = self._size = 0
        self._head = b""
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._coded_bytes += len(data)
        if self._coded_bytes > self._max_bytes:
            raise FileGone("media_too_large")
        try:
            for piece in self._coding.feed(data):
                self._keep(piece)
        except UnknownCoding:
            raise FileGone("media_wrong_content") from None

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise FileGone("media_too_large")
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        self._digest.update(piece)
        self._file.write(piece)

    def finished(self, data: bytes, content_type: str) -> Downloaded:
        self.write(data)
        try:
            self._coding.finish()
        except CutShort:
            raise Unavailable("media", detail="ended before the file did") from None
        if self._size == 0:
            raise FileGone("media_empty")
        self._file.flush()
        return Downloaded(
            self._file, self._size, self._digest.hexdigest(), content_type, self._head
        )
