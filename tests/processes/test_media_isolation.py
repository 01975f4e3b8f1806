import contextlib
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

from connectors.media import isolation, seccomp, workers
from connectors.media.preparation import Decoder

ROOT = Path(__file__).parents[2]
MEDIA = ROOT / "tests" / "media"
FIELD = ROOT / "tests" / "field"
LINUX = pytest.mark.skipif(not seccomp.available(), reason="no filter on this machine")

TRYING = """
import ctypes, json, os, resource, socket, sys, threading, time
from connectors.media import isolation

libc = ctypes.CDLL(None, use_errno=True)

def refused(call, *arguments):
    try:
        call(*arguments)
    except (OSError, RuntimeError, ValueError) as error:
        return type(error).__name__
    return "possible"

def native(name, *arguments):
    return "possible" if getattr(libc, name)(*arguments) != -1 else "PermissionError"

def threads():
    done = []
    thread = threading.Thread(target=done.append, args=(1,))
    thread.start()
    thread.join()
    assert done

parent = os.getpid()
os.environ["SENSORIUM_SECRETS__KEY"] = "secret"
isolation.leave_the_system()
answer, end = os.pipe()
if os.fork() == 0:
    isolation.give_up_the_rest(end, 5)
    said = {
        "read": refused(os.open, "/etc/passwd", os.O_RDONLY),
        "read what the parent has open": refused(os.read, answer, 1),
        "list": refused(os.listdir, "/"),
        "write": refused(os.open, "x", os.O_CREAT | os.O_WRONLY),
        "memory file": refused(os.memfd_create, "x"),
        "stat": refused(os.stat, "/etc/passwd"),
        "rename": refused(os.rename, "a", "b"),
        "tcp": refused(socket.socket),
        "udp": refused(socket.socket, socket.AF_INET, socket.SOCK_DGRAM),
        "local socket": refused(socket.socket, socket.AF_UNIX),
        "socket pair": refused(socket.socketpair),
        "pipe": refused(os.pipe),
        "fork": refused(os.fork),
        "exec": refused(os.execv, "/bin/sh", ["sh"]),
        "kill the parent": refused(os.kill, parent, 9),
        "trace": native("ptrace", 16, parent, 0, 0),
        "read the parent's memory": native("process_vm_readv", parent, 0, 0, 0, 0, 0),
        "become root": native("setuid", 0),
        "new namespace": native("unshare", 0x10000000),
        "own session": refused(os.setsid),
        "more CPU": refused(resource.setrlimit, resource.RLIMIT_CPU, (6, 6)),
        "write and run": native("mmap", 0, 4096, 7, 0x22, -1, 0),
        "threads": refused(threads),
        "memory": refused(bytearray, 1 << 20),
        "environment": dict(os.environ),
        "holds": isolation.probe(),
    }
    os.write(end, json.dumps(said).encode())
    os._exit(0)
os.close(end)
with os.fdopen(answer) as file:
    sys.stdout.write(file.read())
"""


def run(script: str, *words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-P", "-c", script, *words],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )


@LINUX
def test_the_process_that_decodes_can_compute_and_nothing_else() -> None:
    ran = run(TRYING)
    assert ran.returncode == 0, ran.stderr.decode()
    said = json.loads(ran.stdout)
    assert said.pop("environment") == {}
    assert said.pop("holds") == dict.fromkeys(isolation.HOLDS, True)
    assert {word: said.pop(word) for word in ("threads", "memory")} == {
        "threads": "possible",
        "memory": "possible",
    }
    assert {word: answer for word, answer in said.items() if answer == "possible"} == {}


@LINUX
async def test_a_child_of_a_real_worker_finds_everything_held_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SENSORIUM_SECRETS__KEY", "secret")
    async with Decoder(workers=1) as decoder:
        found = await decoder.isolation()
        (worker,) = decoder.workers.alive
        with contextlib.suppress(PermissionError):  # without root not even its parent may look
            environment = Path(f"/proc/{worker.process.pid}/environ").read_bytes()
            assert b"SENSORIUM" not in environment
    assert (found.holds, found.missing) == (isolation.HOLDS, ())


async def test_what_the_kernel_does_not_allow_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    without = (
        "from connectors.media import decoding, isolation, seccomp\n"
        "seccomp.available = lambda: False\n"
        "isolation._LINUX = False\n"
        "isolation._enter_empty_folder = lambda: None\n"
        "decoding.main()\n"
    )
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-P", "-c", without))
    async with Decoder(workers=1) as decoder:
        found = await decoder.start()
    assert {"no_files", "no_network", "no_processes", "no_programs"} <= set(found.missing)
    assert {"empty_environment", "cpu_limit"} <= set(found.holds)
    assert not found.network_namespace


TRAPPED = """
import sys
from connectors.media import pictures, seccomp, sounds
from connectors.media.frames import PreparedAudio
from connectors.media.unfit import NotFit

data = sys.stdin.buffer.read()
pictures.warm_up()
sounds.warm_up()
formats = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
seccomp.confine(otherwise=seccomp.KILL)
for look in (
    lambda: sounds.prepare_audio(data, "mp3", 2.0),
    lambda: sounds.prepare_audio(data, "wav", None),
    lambda: pictures.prepare_image(data, 64, formats),
):
    try:
        answers = look()
    except NotFit:
        pass
"""
UNLISTED = """
import io, sys
import av
from connectors.media import seccomp

data = sys.stdin.buffer.read()
seccomp.confine(otherwise=seccomp.KILL)
try:
    av.open(io.BytesIO(data), "r")
except Exception:
    pass
"""
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=\xff\xfe\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 45004 RTP/AVP 0\n"
CONCAT = b"ffconcat version 1.0\n#\xff\xfe\nfile sound.wav\n"


def sound(container: str, codec: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as target:
        stream = target.add_stream(codec, rate=48_000, layout="mono")
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=48_000, frame_size=1024
        )
        with av.open(str(MEDIA / "voice-es.mp3")) as source:
            for frame in [*source.decode(audio=0), None]:
                for resampled in resampler.resample(frame):
                    target.mux(stream.encode(resampled))
        target.mux(stream.encode(None))
    return out.getvalue()


def with_outside_data(film: bytes) -> bytes:
    """An mp4 whose sound is in another file, by an alias as QuickTime writes it."""
    path = b"/etc/hostname"
    alias = bytes(10) + b"\x04disk" + bytes(23) + bytes(12)
    alias += bytes([len(path)]) + path + bytes(63 - len(path)) + bytes(16)
    alias += b"\x00\x01\x00\x02" + bytes(16)
    alias += b"\x00\x02" + len(path).to_bytes(2, "big") + path + b"\x00" + b"\xff\xff\x00\x00"
    alias = b"alis" + bytes(4) + alias
    alias = (len(alias) + 4).to_bytes(4, "big") + alias
    at = film.index(b"url \x00\x00\x00\x01") - 4
    more = len(alias) - 12
    out = bytearray(film[:at] + alias + film[at + 12 :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = film.index(box, film.index(b"moov")) - 4
        size = int.from_bytes(film[start : start + 4], "big")
        out[start : start + 4] = (size + more).to_bytes(4, "big")
    return bytes(out)


def references() -> dict[str, bytes]:
    """Bytes of each kind that FFmpeg takes for a reference to other files, or a list of them."""
    return {
        "concat": CONCAT,
        "concat with options": b"ffconcat version 1.0\nfile sound.wav\noption protocol_whitelist file\n",
        "sdp": SDP,
        "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n",
        "hls of files": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "dash": b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011"><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>',
        "smooth streaming": b'<SmoothStreamingMedia MajorVersion="2"></SmoothStreamingMedia>',
        "image2": b"/etc/%03d.png",
        "lavfi": b"sine=frequency=1000",
        "rtsp": b"RTSP/1.0 200 OK\r\nContent-Base: rtsp://127.0.0.1:1/\r\n\r\n",
        "playlist": b"[playlist]\nFile1=/etc/passwd\nNumberOfEntries=1\n",
        "an id3 tag before concat": b"ID3\x04\x00\x00\x00\x00\x00\x00" + CONCAT,
        "an id3 tag before sdp": b"ID3\x04\x00\x00\x00\x00\x00\x00" + SDP,
        "an mpeg sync before concat": b"\xff\xfb\x90\x00" + CONCAT,
        "an mp4 with sound elsewhere": with_outside_data(sound("mp4", "aac")),
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(18) + b"\x01\x00\x09\x00" + bytes(90),
    }


@LINUX
@pytest.mark.parametrize("kind", references())
def test_a_reference_to_something_else_is_not_followed(kind: str) -> None:
    ran = run(TRAPPED, stdin=references()[kind])
    assert ran.returncode == 0, (ran.returncode, ran.stderr.decode())


@LINUX
@pytest.mark.parametrize(
    "path",
    [
        *sorted(MEDIA.glob("*.*")),
        *sorted(FIELD.glob("*/*.png")),
        *sorted(FIELD.glob("*/*.jpg")),
        *sorted(FIELD.glob("*/*.avif")),
        *sorted(FIELD.glob("*/*.ogg")),
        *sorted(FIELD.glob("*/*.webm")),
    ],
    ids=lambda path: path.name,
)
def test_to_decode_a_real_file_nothing_is_opened(path: Path) -> None:
    ran = run(TRAPPED, stdin=path.read_bytes())
    assert ran.returncode == 0, (ran.returncode, ran.stderr.decode())


@LINUX
@pytest.mark.parametrize("data", [CONCAT, SDP])
def test_the_trap_kills_a_decoder_that_takes_any_input(data: bytes) -> None:
    assert run(UNLISTED, stdin=data).returncode == -signal.SIGSYS


def test_a_decoding_worker_excludes_what_it_imported_from_collections_before_it_is_ready() -> None:
    code = """
import gc
from connectors.media import decoding
decoding._send = lambda frame: print(gc.get_freeze_count())
decoding.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert int(done.stdout) > 10_000
