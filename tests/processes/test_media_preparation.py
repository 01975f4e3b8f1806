import asyncio
import contextlib
import io
import math
import os
import signal
import struct
import sys
import wave
import zlib
from array import array
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import av
import pytest
from PIL import Image

from connectors.media import workers
from connectors.media.preparation import (
    Decoder,
    NotPrepared,
    PreparationLimits,
    PreparedAudio,
    PreparedImage,
)
from schemas.outcomes import Unavailable

MEDIA = Path(__file__).parents[1] / "media"


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    async with Decoder(workers=1) as opened:
        yield opened


def media(name: str) -> bytes:
    return (MEDIA / name).read_bytes()


def picture(
    kind: str,
    size: tuple[int, int] = (64, 32),
    mode: str = "RGB",
    colour: object = "red",
    **options: object,
) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that has side × side pixels of one bit."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def tone(seconds: float) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(
            array(
                "h", [round(9_000 * math.sin(i / 3)) for i in range(round(8_000 * seconds))]
            ).tobytes()
        )
    return out.getvalue()


def encoded(codec: str, container: str) -> bytes:
    """A second of sound, encoded as some phones do."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as target:
        stream = target.add_stream(
            codec,
            rate=48_000 if "opus" in codec or container in ("3gp", "adts", "mp2") else 8_000,
            layout="mono",
        )
        resampler = av.AudioResampler(
            format=stream.format,
            layout="mono",
            rate=stream.rate,
            frame_size=stream.codec_context.frame_size or 1_000,
        )
        with av.open(io.BytesIO(tone(1)), "r") as source:
            for frame in [*source.decode(audio=0), None]:
                for resampled in resampler.resample(frame):
                    target.mux(stream.encode(resampled))
        target.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(
    ("file", "mime", "as_it_is"),
    [
        ("cat.jpg", "image/jpeg", True),
        ("coffee.jpg", "image/jpeg", True),
        ("rocket.webp", "image/webp", True),
        ("astronaut.heic", "image/jpeg", False),
    ],
)
async def test_a_real_picture_is_shown_as_it_is_or_as_jpeg(
    file: str, mime: str, as_it_is: bool, decoder: Decoder
) -> None:
    shown = await decoder.prepare_image(media(file), "acme")
    assert isinstance(shown, PreparedImage)
    assert (shown.mime, shown.data == media(file), shown.animated) == (mime, as_it_is, False)
    with Image.open(io.BytesIO(shown.data)) as image:
        assert (image.size, f"image/{(image.format or '').lower()}") == (
            (shown.width, shown.height),
            mime,
        )


async def test_a_large_picture_is_made_smaller_and_keeps_its_shape(decoder: Decoder) -> None:
    shown = await decoder.prepare_image(picture("PNG", (4096, 1024)), "acme")
    assert isinstance(shown, PreparedImage)
    assert (shown.width, shown.height, shown.mime) == (2048, 512, "image/jpeg")


async def test_a_picture_of_an_uncommon_kind_becomes_jpeg_on_white(decoder: Decoder) -> None:
    shown = await decoder.prepare_image(picture("TIFF", (8, 8), "RGBA", (255, 0, 0, 0)), "acme")
    assert isinstance(shown, PreparedImage)
    with Image.open(io.BytesIO(shown.data)) as image:
        assert (image.format, image.getpixel((4, 4))) == ("JPEG", (255, 255, 255))


async def test_a_picture_lying_on_its_side_is_turned_upright_when_it_is_made_again(
    decoder: Decoder,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    shown = await decoder.prepare_image(picture("JPEG", (3000, 1000), exif=exif), "acme")
    assert isinstance(shown, PreparedImage)
    assert shown.width < shown.height


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
async def test_a_small_picture_lying_on_its_side_is_turned_upright_too(
    orientation: int, decoder: Decoder
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    given = picture("JPEG", (60, 20), exif=exif)
    shown = await decoder.prepare_image(given, "acme")
    assert isinstance(shown, PreparedImage)
    assert (shown.data != given, shown.width < shown.height) == (True, orientation in (6, 8))


async def test_an_upright_picture_is_not_made_again_for_its_metadata(decoder: Decoder) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    given = picture("JPEG", (60, 20), exif=exif)
    shown = await decoder.prepare_image(given, "acme")
    assert isinstance(shown, PreparedImage)
    assert shown.data == given


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "CMYK"), ("PNG", "I;16")])
async def test_a_picture_in_colours_no_model_takes_is_made_again(
    kind: str, mode: str, decoder: Decoder
) -> None:
    shown = await decoder.prepare_image(picture(kind, (8, 8), mode, 0), "acme")
    assert isinstance(shown, PreparedImage)
    with Image.open(io.BytesIO(shown.data)) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")


@pytest.mark.parametrize("kind", ["EPS", "PDF", "SPIDER"])
async def test_a_format_no_chat_sends_is_not_even_tried(kind: str, decoder: Decoder) -> None:
    data = picture(
        kind, (8, 8), "F" if kind == "SPIDER" else "RGB", 0.0 if kind == "SPIDER" else "red"
    )
    assert await decoder.prepare_image(data, "acme") == NotPrepared(
        "image_undecodable", "UnidentifiedImageError"
    )


async def test_of_an_animated_sticker_the_first_frame_is_shown(decoder: Decoder) -> None:
    frames = [Image.new("RGBA", (16, 16), colour) for colour in ("red", "blue")]
    for kind in ("WEBP", "PNG"):
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
        shown = await decoder.prepare_image(out.getvalue(), "acme")
        assert isinstance(shown, PreparedImage)
        assert (shown.animated, shown.mime) == (True, "image/jpeg")
        with Image.open(io.BytesIO(shown.data)) as image:
            red, _, blue = image.getpixel((8, 8))  # type: ignore[misc]
        assert red > 200 and blue < 60


async def test_of_an_animation_the_first_frame_is_shown(decoder: Decoder) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    shown = await decoder.prepare_image(out.getvalue(), "acme")
    assert isinstance(shown, PreparedImage)
    assert (shown.animated, shown.mime) == (True, "image/jpeg")
    with Image.open(io.BytesIO(shown.data)) as image:
        red, _, blue = image.getpixel((8, 8))  # type: ignore[misc]
    assert red > 200 and blue < 60


@pytest.mark.parametrize("side", [30_000, 8_000])
async def test_a_picture_that_would_unfold_to_too_many_pixels_is_refused_by_its_header(
    side: int, decoder: Decoder
) -> None:
    data = bomb(side)
    assert len(data) < 300_000
    refused = await decoder.prepare_image(data, "acme")
    assert isinstance(refused, NotPrepared)
    assert refused.reason == "image_too_large"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"not a picture",
        media("cat.jpg")[:3000],
        media("astronaut.heic")[:3000],
        media("rocket.webp")[:500],
        media("voice-es.mp3"),
        bomb(100)[:41],
    ],
)
async def test_what_is_not_a_whole_picture_is_undecodable(data: bytes, decoder: Decoder) -> None:
    refused = await decoder.prepare_image(data, "acme")
    assert isinstance(refused, NotPrepared)
    assert refused.reason == "image_undecodable"


@pytest.mark.parametrize(
    ("file", "filename", "mime", "as_it_is", "seconds"),
    [
        ("voice-note-es.ogg", "audio.ogg", "audio/ogg", True, (6, 12)),
        ("voice-memo-en.m4a", "audio.m4a", "audio/mp4", True, (3, 9)),
        ("voice-es.mp3", "audio.mp3", "audio/mpeg", True, (2, 8)),
        ("voice-es.amr", "audio.mp3", "audio/mpeg", False, (2, 8)),
    ],
)
async def test_a_real_voice_note_is_named_by_what_it_is(
    file: str,
    filename: str,
    mime: str,
    as_it_is: bool,
    seconds: tuple[float, float],
    decoder: Decoder,
) -> None:
    heard = await decoder.prepare_audio(media(file), "acme")
    assert isinstance(heard, PreparedAudio)
    (part,) = heard.parts
    assert (part.filename, part.mime, part.data == media(file)) == (filename, mime, as_it_is)
    assert seconds[0] < heard.duration_seconds < seconds[1]


async def test_a_transcoded_voice_note_is_one_that_passes_as_it_is(decoder: Decoder) -> None:
    once = await decoder.prepare_audio(media("voice-es.amr"), "acme")
    assert isinstance(once, PreparedAudio)
    again = await decoder.prepare_audio(once.parts[0].data, "acme")
    assert isinstance(again, PreparedAudio)
    assert again.parts[0].data == once.parts[0].data
    assert again.duration_seconds == pytest.approx(once.duration_seconds, abs=0.2)


@pytest.mark.parametrize(("seconds", "fits"), [(0.4, False), (0.6, True)])
async def test_a_sound_shorter_than_half_a_second_is_too_short(
    seconds: float, fits: bool, decoder: Decoder
) -> None:
    heard = await decoder.prepare_audio(tone(seconds), "acme")
    assert (
        isinstance(heard, PreparedAudio)
        if fits
        else isinstance(heard, NotPrepared) and heard.reason == "audio_too_short"
    )


@pytest.mark.parametrize(
    ("codec", "as_it_is"),
    [("pcm_s16le", True), ("pcm_alaw", True), ("adpcm_ima_wav", False), ("adpcm_ms", False)],
)
async def test_a_codec_the_api_would_refuse_is_written_again(
    codec: str, as_it_is: bool, decoder: Decoder
) -> None:
    given = encoded(codec, "wav")
    heard = await decoder.prepare_audio(given, "acme")
    assert isinstance(heard, PreparedAudio)
    assert (heard.parts[0].data == given, heard.parts[0].filename) == (
        as_it_is,
        "audio.wav" if as_it_is else "audio.mp3",
    )
    assert heard.duration_seconds == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("codec", "container", "filename", "as_it_is"),
    [
        ("libopus", "ogg", "audio.ogg", True),
        ("flac", "flac", "audio.flac", True),
        ("aac", "adts", "audio.mp3", False),
        ("libopus", "webm", "audio.webm", True),
        ("aac", "3gp", "audio.m4a", True),
        ("mp2", "mp2", "audio.mp3", False),
    ],
)
async def test_a_container_is_named_by_what_it_is(
    codec: str, container: str, filename: str, as_it_is: bool, decoder: Decoder
) -> None:
    given = encoded(codec, container)
    heard = await decoder.prepare_audio(given, "acme")
    assert isinstance(heard, PreparedAudio)
    assert (heard.parts[0].data == given, heard.parts[0].filename) == (as_it_is, filename)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"not a sound",
        b"OggS",
        media("voice-memo-en.m4a")[:200],
        media("cat.jpg"),
        b"#!AMR\n" + b"\xff" * 300,
    ],
)
async def test_what_is_not_sound_is_undecodable(data: bytes, decoder: Decoder) -> None:
    refused = await decoder.prepare_audio(data, "acme")
    assert isinstance(refused, NotPrepared)
    assert refused.reason == "audio_undecodable"


async def test_the_worker_lives_on_after_hostile_bytes(decoder: Decoder) -> None:
    await decoder.prepare_image(b"not a picture", "acme")
    before = pids(decoder)
    await decoder.prepare_image(bomb(9_000), "acme")
    await decoder.prepare_audio(b"not a sound", "acme")
    assert pids(decoder) == before


def pids(decoder: Decoder) -> list[int]:
    return [worker.process.pid for worker in decoder.workers.alive]


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.001)


def acting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers whose children, isolated as usual, do what the bytes say instead of decoding."""
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-P", "-c", ACTING))


ACTING = """
import os, signal, time
from connectors.media import decoding
from connectors.media.frames import NotPrepared

def act(request):
    word = request.data.decode()
    if word == "hang":
        time.sleep(60)
    elif word == "burn":
        while True:
            pass
    elif word == "eat":
        bytearray(3 << 30)
    elif word == "crash":
        os.abort()
    elif word == "talk":
        return NotPrepared("image_undecodable", "x" * (65 << 20))
    elif word == "lie":
        return NotPrepared("no such reason", word)
    return NotPrepared("image_undecodable", word)

decoding._WORK = {"image": act, "audio": act, "probe": act}
decoding.main()
"""


async def test_a_worker_that_is_killed_costs_nobody_an_item(decoder: Decoder) -> None:
    await decoder.prepare_image(media("cat.jpg"), "acme")
    (pid,) = pids(decoder)

    async def load() -> bytes:
        if pid in pids(decoder):
            os.kill(pid, signal.SIGKILL)
        return media("cat.jpg")

    assert isinstance(await decoder.prepare_image(load, "acme"), PreparedImage)
    assert pid not in pids(decoder)


async def test_a_worker_that_dies_idle_is_replaced(decoder: Decoder) -> None:
    await decoder.prepare_image(media("cat.jpg"), "acme")
    worker = next(iter(decoder.workers.alive))
    os.kill(worker.process.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        await worker.process.wait()
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)
    assert worker.process.pid not in pids(decoder)


@pytest.mark.parametrize(
    ("word", "detail"),
    [
        (b"burn", "took too long"),
        (b"eat", "out of memory"),
        (b"crash", "the decoder died"),
        (b"talk", "the decoder was stopped"),
        (b"lie", "Invalid enum value 'no such reason' - at `$.reason`"),
    ],
)
async def test_hostile_bytes_cost_their_item_and_the_worker_lives_on(
    word: bytes, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting(monkeypatch)
    async with Decoder(workers=1, image_limits=PreparationLimits(1, 60)) as decoder:
        await decoder.prepare_image(b"nothing", "acme")
        before = pids(decoder)
        assert await decoder.prepare_image(word, "zoo") == NotPrepared("image_undecodable", detail)
        assert await decoder.prepare_image(b"next", "acme") == NotPrepared(
            "image_undecodable", "next"
        )
        assert pids(decoder) == before


async def test_an_item_that_waits_for_something_is_tried_twice_and_its_worker_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acting(monkeypatch)
    loads = []

    async def load() -> bytes:
        loads.append(1)
        return b"hang"

    async with Decoder(workers=1, image_limits=PreparationLimits(20, 0.2)) as impatient:
        assert await impatient.prepare_image(load, "acme") == NotPrepared(
            "image_undecodable", "took too long"
        )
        assert (len(loads), pids(impatient)) == (2, [])


async def test_a_decode_that_was_slow_because_the_machine_was_busy_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acting(monkeypatch)
    words = [b"hang", b"fine"]

    async def load() -> bytes:
        return words.pop(0)

    async with Decoder(workers=1, image_limits=PreparationLimits(20, 2.0)) as decoder:
        assert await decoder.prepare_image(load, "acme") == NotPrepared("image_undecodable", "fine")


async def test_a_caller_that_gives_up_leaves_a_decoder_that_works(decoder: Decoder) -> None:
    await decoder.prepare_image(media("cat.jpg"), "acme")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(decoder.prepare_image(media("astronaut.heic"), "acme"), 0.001)
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)


async def test_more_items_than_workers_are_all_prepared() -> None:
    async with Decoder(workers=2) as two:
        asked = [two.prepare_image(media("cat.jpg"), f"tenant-{n}") for n in range(6)]
        shown = await asyncio.gather(*asked)
        assert all(isinstance(one, PreparedImage) for one in shown)
        assert 1 <= len(pids(two)) <= 2


async def test_a_file_is_loaded_only_when_a_worker_is_free() -> None:
    go, loaded = asyncio.Event(), []

    async def load(number: int) -> bytes:
        loaded.append(number)
        await go.wait()
        return media("cat.jpg")

    async with Decoder(workers=2) as two:
        asked = [
            asyncio.create_task(two.prepare_image(partial(load, n), f"tenant-{n}"))
            for n in range(5)
        ]
        await until(lambda: len(loaded) == 2)
        go.set()
        shown = await asyncio.gather(*asked)
        assert all(isinstance(one, PreparedImage) for one in shown)
        assert sorted(loaded) == [0, 1, 2, 3, 4]


async def test_trouble_while_loading_is_the_callers_and_leaves_the_worker(
    decoder: Decoder,
) -> None:
    async def load() -> bytes:
        raise Unavailable("object_store", retry_after=1.0)

    await decoder.prepare_image(media("cat.jpg"), "acme")
    before = pids(decoder)
    with pytest.raises(Unavailable, match="object_store"):
        await decoder.prepare_image(load, "acme")
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)
    assert pids(decoder) == before


async def test_any_number_of_owners_with_hanging_files_leave_a_worker_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acting(monkeypatch)
    async with Decoder(workers=2, image_limits=PreparationLimits(20, 60), soft_seconds=0.1) as two:
        hanging = [asyncio.create_task(two.prepare_image(b"hang", f"zoo-{n}")) for n in range(4)]
        async with asyncio.timeout(50):
            for _ in range(3):
                assert await two.prepare_image(b"ours", "acme") == NotPrepared(
                    "image_undecodable", "ours"
                )
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)


async def test_a_machine_that_can_start_no_process_says_nothing_of_the_item(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(asyncio, "create_subprocess_exec", Mock(side_effect=BlockingIOError))
        with pytest.raises(Unavailable, match="decoder"):
            await decoder.prepare_image(media("cat.jpg"), "acme")
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)


async def test_a_worker_that_does_not_come_up_says_nothing_of_the_item(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(workers, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
        with pytest.raises(Unavailable, match="decoder"):
            await decoder.prepare_image(media("cat.jpg"), "acme")
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)


PARENT = """
import asyncio, sys
from connectors.media import workers
from connectors.media.preparation import Decoder

workers.COMMAND = (sys.executable, "-P", "-c", sys.argv[1])

async def main():
    decoder = Decoder(workers=1)
    await decoder.prepare_image(b"nothing", "acme")
    print([worker.process.pid for worker in decoder.workers.alive][0], flush=True)
    await decoder.prepare_image(b"hang", "acme")

if sys.argv[2] == "uvloop":
    import uvloop
    uvloop.run(main())
asyncio.run(main())
"""


def states(group: int) -> list[str]:
    """The states of the processes of a group. A dead one may wait to be reaped."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if its_group == str(group):
                found.append(state)
    return found


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_no_worker_outlives_a_parent_that_is_killed(loop: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", PARENT, ACTING, loop),
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert parent.stdout is not None
    worker = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()

    def gone() -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker, 0)
            return all(state == "Z" for state in states(worker))
        return True

    await until(gone)


async def test_no_worker_outlives_its_decoder() -> None:
    async with Decoder(workers=1) as opened:
        await opened.prepare_image(media("cat.jpg"), "acme")
        (pid,) = pids(opened)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
