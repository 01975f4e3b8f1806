"""Pictures and sound made fit for a model, in worker processes with limits: decoders are C code on hostile bytes."""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import msgspec

from schemas.outcomes import Unavailable

WALL_SECONDS = 30.0
ANSWER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PreparedImage:
    data: bytes
    mime: str
    width: int
    height: int
    animated: bool


@dataclass(frozen=True, slots=True)
class AudioPart:
    """`filename` is named by what it is: the API decides by the extension."""

    data: bytes
    filename: str
    mime: str
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class PreparedAudio:
    """One part, unless the sound had to be cut."""

    parts: tuple[AudioPart, ...]
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Unfit:
    """It cannot be shown to a model: `reason` from schemas.reasons.AttachmentReason."""

    reason: str
    detail: str


Load = bytes | Callable[[], Awaitable[bytes]]
"""The file, or how to get it once a decoder is free: jobs that wait hold no bytes then."""
IMAGE_FORMATS = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


@dataclass(slots=True)
class _Turns:
    """How many of one owner's items may still go to a worker, and how many wait or are there."""

    free: asyncio.Semaphore
    taken: int = 0


class Decoder:
    """A few long-lived worker processes, started when first needed; one that hangs or dies is replaced, its item is Unfit."""

    def __init__(self, workers: int = 4, wall_seconds: float = WALL_SECONDS) -> None:
        self._wall_seconds = wall_seconds
        self._per_owner = max(1, workers // 2)
        self._turns: dict[str, _Turns] = {}
        self._idle: asyncio.LifoQueue[asyncio.subprocess.Process | None] = asyncio.LifoQueue()
        for _ in range(workers):
            self._idle.put_nowait(None)
        self._alive: set[asyncio.subprocess.Process] = set()

    async def __aenter__(self) -> "Decoder":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in list(self._alive):
            await self._end(worker)

    async def prepare_image(
        self,
        source: Load,
        owner: str | None = None,
        *,
        longest_side: int = 2048,
        formats: frozenset[str] = IMAGE_FORMATS,
    ) -> PreparedImage | Unfit:
        """As it is when it is in one of `formats` and small enough, else as JPEG. Raises Unavailable.

        Of one owner at most half of the workers are busy, so that others are not held up.
        """
        options = {"longest_side": longest_side, "formats": sorted(formats)}
        async with self._turn(owner):
            answer = await self._ask("image", source, options)
        return Unfit(**answer) if "reason" in answer else PreparedImage(**answer)

    async def prepare_audio(
        self,
        source: Load,
        owner: str | None = None,
        *,
        audio_format: Literal["as-is", "mp3", "wav"] = "as-is",
        part_seconds: float | None = None,
    ) -> PreparedAudio | Unfit:
        """As `prepare_image`; cut into parts of at most `part_seconds` where that is set."""
        options = {"audio_format": audio_format, "part_seconds": part_seconds}
        async with self._turn(owner):
            answer = await self._ask("audio", source, options)
        if "reason" in answer:
            return Unfit(**answer)
        parts = tuple(AudioPart(**part) for part in answer["parts"])
        return PreparedAudio(parts, answer["duration_seconds"])

    @asynccontextmanager
    async def _turn(self, owner: str | None) -> AsyncIterator[None]:
        if owner is None:
            yield
            return
        turns = self._turns.setdefault(owner, _Turns(asyncio.Semaphore(self._per_owner)))
        turns.taken += 1
        try:
            async with turns.free:
                yield
        finally:
            turns.taken -= 1
            if not turns.taken:
                del self._turns[owner]

    async def _ask(self, what: str, source: Load, options: dict[str, Any]) -> dict[str, Any]:
        worker = await self._idle.get()
        healthy = None
        try:
            data = source if isinstance(source, bytes) else await source()
        except BaseException:
            self._idle.put_nowait(worker)
            raise
        try:
            worker = await self._living(worker)
            async with asyncio.timeout(self._wall_seconds):
                answer = await self._exchange(worker, [what, data, options])
            healthy = worker
            return answer
        except (
            TimeoutError,
            OSError,
            EOFError,
            asyncio.IncompleteReadError,
            msgspec.MsgspecError,
        ) as error:
            detail = "took too long" if isinstance(error, TimeoutError) else "the decoder died"
            return {"reason": f"{what}_undecodable", "detail": detail}
        finally:
            if worker is not None and healthy is None:
                await asyncio.shield(self._end(worker))
            self._idle.put_nowait(healthy)

    async def _living(
        self, worker: asyncio.subprocess.Process | None
    ) -> asyncio.subprocess.Process:
        if worker is not None and worker.returncode is None:
            return worker
        if worker is not None:
            self._alive.discard(worker)  # it died while idle
        try:
            started = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "connectors.media.decoding"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=1024 * 1024,
            )
        except (
            OSError
        ) as error:  # no process, no file or no memory to be had: that says nothing of the item
            raise Unavailable("decoder", retry_after=5.0, detail=type(error).__name__) from error
        self._alive.add(started)
        return started

    @staticmethod
    async def _exchange(worker: asyncio.subprocess.Process, asked: list[Any]) -> dict[str, Any]:
        assert worker.stdin is not None
        assert worker.stdout is not None
        request = msgspec.msgpack.encode(asked)
        worker.stdin.write(struct.pack(">I", len(request)) + request)
        await worker.stdin.drain()
        (size,) = struct.unpack(">I", await worker.stdout.readexactly(4))
        if size > ANSWER_BYTES:
            raise EOFError("an answer beyond all bounds")
        answer: dict[str, Any] = msgspec.msgpack.decode(await worker.stdout.readexactly(size))
        return answer

    async def _end(self, worker: asyncio.subprocess.Process) -> None:
        self._alive.discard(worker)
        if worker.returncode is None:
            worker.kill()
        await worker.wait()
