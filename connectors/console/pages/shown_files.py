"""Files in the form that a page shows: small pictures, and sounds that every browser plays.

Phones send photographs of several megabytes, HEIC, and AMR, which most browsers cannot
show or play. The decoder of the stages makes them fit, in processes that can do nothing
else (docs/security.md).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from connectors.media.preparation import Decoder, NotPrepared, PreparedAudio, PreparedImage
from schemas.outcomes import Unavailable
from storage.errors import StorageError
from storage.objects.store import Stored

PICTURE_SIDE = 640
"""The longer side of a small picture, in pixels: twice the width in a chat."""
WORKERS = 2
MOST_SOURCE_BYTES = 30_000_000
"""Larger files are offered as they are."""
KEPT_BYTES = 32 * 1024 * 1024
WAIT_SECONDS = 15.0
Form = Literal["picture", "sound"]
Load = Callable[[], Awaitable[bytes]]
_BROWSERS_SHOW = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/bmp"}
)
_DECODER_SHOWS = frozenset({"image/heic", "image/heif", "image/tiff"})
_NOT_PLAYED = frozenset(
    {"audio/amr", "audio/amr-wb", "audio/3gpp", "audio/x-caf", "audio/aiff", "audio/x-aiff"}
)


def browsers_show(mime: str) -> bool:
    """True if every browser shows pictures of this type."""
    return _plain(mime) in _BROWSERS_SHOW


def is_picture(mime: str) -> bool:
    """True if a page can show pictures of this type, if need be in another form."""
    return browsers_show(mime) or _plain(mime) in _DECODER_SHOWS


def is_played(mime: str) -> bool:
    """False for sounds that some browsers cannot play."""
    return _plain(mime) not in _NOT_PLAYED


def _plain(mime: str) -> str:
    return mime.partition(";")[0].strip().lower()


class ShownFile(NamedTuple):
    """The bytes to show, and their type."""

    data: bytes
    mime: str


class ShownFiles:
    """Makes the files that pages show, and keeps them.

    A file that several requests need at the same time is made once.

    A tenant's files take turns with those of the others (`WorkerShares`). The decoder
    starts with the first file.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._files: OrderedDict[tuple[str, Form], ShownFile] = OrderedDict()
        self._bytes = 0
        self._most_bytes = kept_bytes
        self._making: dict[tuple[str, Form], asyncio.Task[ShownFile | None]] = {}
        self._decoder: Decoder | None = None

    async def get(self, tenant: str, stored: Stored, form: Form, load: Load) -> ShownFile | None:
        """Returns the file in this form, or None if the page must use the original.

        It must if the file cannot be decoded, is too large, or takes too long.
        """
        name = (stored.key, form)
        if name in self._files:
            self._files.move_to_end(name)
            return self._files[name]
        if stored.bytes > MOST_SOURCE_BYTES:
            return None
        making = self._making.get(name)
        if making is None:
            making = asyncio.create_task(self._made(tenant, form, load))
            self._making[name] = making
            making.add_done_callback(lambda task: self._keep(name, task))
        done, _ = await asyncio.wait({making}, timeout=WAIT_SECONDS)
        return making.result() if done and not making.cancelled() else None

    async def close(self) -> None:
        """Ends the decoder and the work in progress."""
        for task in list(self._making.values()):
            task.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)
        if self._decoder is not None:
            await self._decoder.__aexit__(None, None, None)

    async def _made(self, tenant: str, form: Form, load: Load) -> ShownFile | None:
        if self._decoder is None:
            self._decoder = Decoder(WORKERS)
        try:
            if form == "picture":
                prepared: PreparedImage | PreparedAudio | NotPrepared
                prepared = await self._decoder.prepare_image(
                    load, tenant, longest_side=PICTURE_SIDE, formats=frozenset()
                )
            else:
                prepared = await self._decoder.prepare_audio(load, tenant, audio_format="mp3")
        except (Unavailable, StorageError):
            return None
        match prepared:
            case PreparedImage(data=data, mime=mime):
                return ShownFile(data, mime)
            case PreparedAudio(parts=(one,)):
                return ShownFile(one.data, one.mime)
            case _:
                return None

    def _keep(self, name: tuple[str, Form], task: "asyncio.Task[ShownFile | None]") -> None:
        del self._making[name]
        if task.cancelled() or task.exception() is not None or (made := task.result()) is None:
            return
        if len(made.data) > self._most_bytes // 4:
            return
        self._files[name] = made
        self._bytes += len(made.data)
        while self._bytes > self._most_bytes:
            _, dropped = self._files.popitem(last=False)
            self._bytes -= len(dropped.data)
