"""A picture or sound becomes one that a model takes, or is refused with its reason."""

import io
import math
import wave
from array import array

import av
import pytest
from PIL import Image

from connectors.media.preparation import Decoder, NotPrepared, PreparedAudio, PreparedImage
from tests.processes.media_files import bomb, media


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
