"""The worker process that has hostile bytes decoded. It is started, never imported.

It touches no file itself: for each it makes a child, which gives up everything
but its memory and one descriptor, decodes, answers and ends. So nothing of one
file is there when the next one comes. The child's words are passed on unread.

Frames on stdin and stdout: 4 bytes of length, msgpack.
A Hello comes first, then a Reply for each Request.
"""

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
Answer = PreparedImage | PreparedAudio | Probed | NotPrepared


def main() -> None:
    pictures.warm_up()
    sounds.warm_up()
    alone = leave_the_system()
    _send(Hello(network_namespace=alone))
    source = sys.stdin.buffer
    while len(head := source.read(4)) == 4:
        body = source.read(struct.unpack(">I", head)[0])
        _send(_in_a_child(msgspec.msgpack.decode(body, type=Request)))


def _in_a_child(request: Request) -> Reply:
    answer, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answer)
        _decode_and_end(request, write_end)
    os.close(write_end)
    try:
        said = _all_of(answer)
        if said is None:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(answer)
    _, status, used = os.wait4(child, 0)
    return Reply(
        answer=said or b"",
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        cpu_seconds=used.ru_utime + used.ru_stime,
    )


def _all_of(answer: int) -> bytes | None:
    """What the child said until it closed; None
    if it was too much, or if the parent has left.
    """
    poller = select.poll()
    poller.register(answer, select.POLLIN)
    poller.register(sys.stdin.fileno(), 0)  # reports nothing but that the other end has closed
    said = bytearray()
    while len(said) <= ANSWER_BYTES:
        ready = dict(poller.poll())
        if sys.stdin.fileno() in ready:
            return None
        if not (chunk := os.read(answer, _CHUNK)):
            return bytes(said)
        said += chunk
    return None


def _decode_and_end(request: Request, answer: int) -> None:
    """Never returns: what is above it on the stack belongs to the worker."""
    try:
        give_up_the_rest(answer, request.cpu_seconds)
        said = memoryview(msgspec.msgpack.encode(_decoded(request)))
        while said:
            said = said[os.write(answer, said) :]
    finally:
        os._exit(0)


def _decoded(request: Request) -> Answer:
    try:
        return _WORK[request.what](request)
    except NotFit as unfit:
        return NotPrepared(unfit.reason, unfit.detail)
    except MemoryError:
        undecodable: UnfitReason = (
            "image_undecodable" if request.what == "image" else "audio_undecodable"
        )
        return NotPrepared(undecodable, "out of memory")


_WORK: dict[str, Callable[[Request], Answer]] = {
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
