"""Prepares pictures and sound for models in separate processes.

Decoders are C code that runs on hostile bytes.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from connectors.media.frames import (
    AudioFormat,
    AudioPart,
    NotPrepared,
    PreparedAudio,
    PreparedImage,
    Probed,
    Reply,
    Request,
)
from connectors.media.worker_pool import WorkerPool
from connectors.media.worker_shares import SOFT_SECONDS, WorkerHold, WorkerShares
from connectors.media.workers import Worker, WorkerLost
from schemas.outcomes import Unavailable

__all__ = ["AudioPart", "Decoder", "Isolation", "NotPrepared", "PreparedAudio", "PreparedImage"]
log = structlog.get_logger()
BytesOrLoader = bytes | Callable[[], Awaitable[bytes]]
P = TypeVar("P", PreparedImage, PreparedAudio)
PASSED_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_TRIES = 2
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS}
)


class PreparationLimits(NamedTuple):
    """The limits for one item.

    The wall-clock limit only ends an item that makes no progress; the CPU limit decides
    that it is undecodable.
    """

    cpu_seconds: int
    wall_seconds: float


IMAGE_LIMITS = PreparationLimits(20, 60.0)
AUDIO_LIMITS = PreparationLimits(240, 480.0)
"""One second of CPU time decodes 390 s of Opus and writes 190 s of mp3.

This was measured on one core of a server. Four hours, decoded twice and written, take
about 150 s.
"""


class Isolation(NamedTuple):
    """The actions of which a decoding process is prevented, as found by trying."""

    holds: tuple[str, ...]
    missing: tuple[str, ...]
    network_namespace: bool


class _Undecided(Exception):
    """The item was not finished, and that may not be its own fault."""


FEWEST_WORKERS = 4
"""With fewer workers, a few slow files would make those of other owners wait."""


class _FileAtFault(Exception):
    """The item was not finished, and would not be finished by another try either."""


class _Preempted(Exception):
    """The item was slow while others waited."""


class Decoder:
    """Runs long-lived workers: one per core, and at least four.

    `WorkerPool` says when they start; one that hangs or dies is replaced. `WorkerShares`
    describes how soon an owner gets a worker. A file given as a function is loaded once
    a worker is free, so there are never more files in memory than workers. An item may
    be tried and loaded twice: when it was preempted, or when it ended for a reason that
    may be the machine's. It is undecodable if it used up its CPU time, crashed, or
    failed twice.
    """

    def __init__(
        self,
        workers: int = 0,
        *,
        image_limits: PreparationLimits = IMAGE_LIMITS,
        audio_limits: PreparationLimits = AUDIO_LIMITS,
        soft_seconds: float = SOFT_SECONDS,
    ) -> None:
        self._limits = {"image": image_limits, "audio": audio_limits, "probe": image_limits}
        most = workers or max(FEWEST_WORKERS, len(os.sched_getaffinity(0)))
        self._turns = WorkerShares(most, soft_seconds)
        self.workers = WorkerPool(most)

    async def __aenter__(self) -> "Decoder":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.workers.close()

    async def start(self) -> Isolation:
        """Starts a first worker and logs its isolation. Raises Unavailable."""
        isolation = await self.isolation()
        write = log.warning if isolation.missing else log.info
        write("decoder_isolation", **isolation._asdict())
        return isolation

    async def isolation(self) -> Isolation:
        """Lets a child of a worker try what hostile code would try.

        Raises Unavailable.
        """
        async with self._turns.hold("") as turn:
            worker = await self.workers.take()
            try:
                answer = await self._answered(worker, turn, Request("probe", b"", 5), b"")
                holds = msgspec.msgpack.decode(answer, type=Probed).holds
            except (_Undecided, _FileAtFault, _Preempted, msgspec.MsgspecError) as error:
                raise Unavailable("decoder", retry_after=5.0, detail=str(error)) from error
        return Isolation(
            tuple(name for name, held in holds.items() if held),
            tuple(name for name, held in holds.items() if not held),
            worker.hello.network_namespace,
        )

    async def prepare_image(
        self,
        load_or_bytes: BytesOrLoader,
        owner: str,
        *,
        longest_side: int = 2048,
        formats: frozenset[str] = PASSED_IMAGES,
    ) -> PreparedImage | NotPrepared:
        """The picture unchanged if its type is in `formats` and it is upright, opaque and small.

        Otherwise it becomes a JPEG. Raises Unavailable, and what the loading function
        raises.
        """
        request = Request(
            "image",
            b"",
            self._limits["image"].cpu_seconds,
            longest_side=longest_side,
            formats=formats & PASSED_IMAGES,
        )
        return await self._prepared(PreparedImage, request, load_or_bytes, owner)

    async def prepare_audio(
        self,
        load_or_bytes: BytesOrLoader,
        owner: str,
        *,
        audio_format: AudioFormat = "as-is",
        part_seconds: float | None = None,
    ) -> PreparedAudio | NotPrepared:
        """The sound unchanged as one part if its format and length allow it.

        Otherwise it becomes parts of mp3 or wav. Raises Unavailable, and what the
        loading function raises.
        """
        if part_seconds is not None and part_seconds < 1:
            raise ValueError("a part has at least one second")
        request = Request(
            "audio",
            b"",
            self._limits["audio"].cpu_seconds,
            audio_format=audio_format,
            part_seconds=part_seconds,
        )
        return await self._prepared(PreparedAudio, request, load_or_bytes, owner)

    async def _prepared(
        self, kind: type[P], request: Request, load_or_bytes: BytesOrLoader, owner: str
    ) -> P | NotPrepared:
        slow, failures, why = False, 0, ""
        while failures < _TRIES:
            try:
                async with self._turns.hold(owner, slow=slow) as turn:
                    worker = await self.workers.take()
                    answer = await self._answered(worker, turn, request, load_or_bytes)
                return msgspec.msgpack.decode(answer, type=kind | NotPrepared)
            except _Preempted:
                slow = True
            except _FileAtFault as fault:
                return _undecodable(request.what, str(fault))
            except (_Undecided, msgspec.MsgspecError) as error:
                slow, failures, why = True, failures + 1, str(error)
        return _undecodable(request.what, why)

    async def _answered(
        self, worker: Worker, turn: WorkerHold, request: Request, load_or_bytes: BytesOrLoader
    ) -> bytes:
        """The answer of a child.

        Afterwards the worker is idle, or ended if it cannot take another request.
        """
        is_working = False
        try:
            data = load_or_bytes if isinstance(load_or_bytes, bytes) else await load_or_bytes()
            self._turns.started(turn)
            is_working = True
            whole = msgspec.structs.replace(request, data=data)
            reply = await self._reply(worker, turn, whole)
            is_working = False
        finally:
            if is_working:
                await asyncio.shield(self.workers.end(worker))
            else:
                self.workers.give_back(worker)
        if not reply.signal and reply.answer:
            return reply.answer
        if reply.signal == signal.SIGXCPU or reply.cpu_seconds >= request.cpu_seconds:
            raise _FileAtFault("took too long")
        if reply.signal in _CRASHES:
            raise _FileAtFault("the decoder died")
        raise _Undecided("the decoder was stopped")

    async def _reply(self, worker: Worker, turn: WorkerHold, request: Request) -> Reply:
        answer = asyncio.ensure_future(worker.ask(request))
        called = asyncio.ensure_future(turn.give_way.wait())
        wall_seconds = self._limits[request.what].wall_seconds
        try:
            await asyncio.wait(
                {answer, called}, timeout=wall_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if answer.done():
                return answer.result()
            raise _Preempted if called.done() else _Undecided("took too long")
        except WorkerLost as lost:
            raise _Undecided("the decoder died") from lost
        finally:
            answer.cancel()
            called.cancel()


def _undecodable(what: str, detail: str) -> NotPrepared:
    return NotPrepared("image_undecodable" if what == "image" else "audio_undecodable", detail)
