"""The main program of a worker process, whose children decode hostile bytes.

It is started as a program and never imported. It decodes nothing itself: for each file
it forks a child, which gives up everything but its memory and one descriptor, decodes,
writes its answer and ends. So no file finds traces of an earlier one. The child's
answer is passed on unread.

Frames on stdin and stdout are a 4-byte length and msgpack. A Hello comes first, then
one Reply for each Request.
"""

import gc
import os
import select
import signal
import struct
import sys
from collections.abc import Callable

import msgspec

from connectors.media import pictures, sounds
from connectors.media.frames import (
    ANSWER_BYTES,
    Hello,
    NotPrepared,
    PreparedAudio,
    PreparedImage,
    Probed,
    Reply,
    Request,
    UnfitReason,
)
from connectors.media.isolation import give_up_the_rest, leave_the_system, probe
from connectors.media.unfit import NotFit

_CHUNK = 1024 * 1024
WorkerAnswer = PreparedImage | PreparedAudio | Probed | NotPrepared


def main() -> None:
    pictures.warm_up()
    sounds.warm_up()
    _freeze_imported_objects()
    alone = leave_the_system()
    _send(Hello(network_namespace=alone))
    source = sys.stdin.buffer
    while len(head := source.read(4)) == 4:
        body = source.read(struct.unpack(">I", head)[0])
        _send(_in_a_child(msgspec.msgpack.decode(body, type=Request)))


def _freeze_imported_objects() -> None:
    """Excludes what is in memory by now from garbage collection.

    A collection in a child would write to all these objects, and so copy the memory that
    the child shares with this process.
    """
    gc.collect()
    gc.freeze()


def _in_a_child(request: Request) -> Reply:
    answer, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answer)
        _decode_and_end(request, write_end)
    os.close(write_end)
    try:
        written = _all_of(answer)
        if written is None:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(answer)
    _, status, used = os.wait4(child, 0)
    return Reply(
        answer=written or b"",
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        cpu_seconds=used.ru_utime + used.ru_stime,
    )


def _all_of(answer: int) -> bytes | None:
    """Everything the child wrote until it closed the pipe.

    None if that was too much, or if the parent process has gone.
    """
    poller = select.poll()
    poller.register(answer, select.POLLIN)
    poller.register(sys.stdin.fileno(), 0)  # reports only that the other end has closed
    written = bytearray()
    while len(written) <= ANSWER_BYTES:
        ready = dict(poller.poll())
        if sys.stdin.fileno() in ready:
            return None
        if not (chunk := os.read(answer, _CHUNK)):
            return bytes(written)
        written += chunk
    return None


def _decode_and_end(request: Request, answer: int) -> None:
    """Decodes in the child.

    Never returns, because the stack above belongs to the worker.
    """
    try:
        give_up_the_rest(answer, request.cpu_seconds)
        unwritten = memoryview(msgspec.msgpack.encode(_decoded(request)))
        while unwritten:
            unwritten = unwritten[os.write(answer, unwritten) :]
    finally:
        os._exit(0)


def _decoded(request: Request) -> WorkerAnswer:
    try:
        return _WORK[request.what](request)
    except NotFit as unfit:
        return NotPrepared(unfit.reason, unfit.detail)
    except MemoryError:
        undecodable: UnfitReason = (
            "image_undecodable" if request.what == "image" else "audio_undecodable"
        )
        return NotPrepared(undecodable, "out of memory")


_WORK: dict[str, Callable[[Request], WorkerAnswer]] = {
    "image": lambda r: pictures.prepare_image(r.data, r.longest_side, r.formats),
    "audio": lambda r: sounds.prepare_audio(r.data, r.audio_format, r.part_seconds),
    "probe": lambda r: Probed(probe()),
}


def _send(frame: msgspec.Struct) -> None:
    encoded = msgspec.msgpack.encode(frame)
    sys.stdout.buffer.write(struct.pack(">I", len(encoded)) + encoded)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
