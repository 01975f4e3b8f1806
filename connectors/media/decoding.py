"""The worker process that decodes hostile bytes: pictures and sound made fit for a model. Nothing else imports this module.

Protocol on stdin and stdout: 4-byte length, msgpack. In: [what, bytes, options]. Out: a Prepared dict, or {"reason", "detail"}.
"""

import io
import resource
import struct
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

MEMORY_BYTES = 2 * 1024**3
MAX_PIXELS = 50_000_000
LONGEST_SIDE = 2_048
PASS_BYTES = 4_000_000
AUDIO_BYTES = 25_000_000
SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 4 * 3600
_FORMATS = (
    "JPEG",
    "MPO",
    "PNG",
    "GIF",
    "WEBP",
    "HEIF",
    "AVIF",
    "BMP",
    "TIFF",
    "ICO",
    "JPEG2000",
    "TGA",
    "PPM",
)
"""Those a chat may hold. Of the rest some are whole interpreters: EPS is handed to Ghostscript."""
_PASSED_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
_ORIENTATION = 0x0112
_PASSED_IMAGES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
}
_PASSED_CODECS = ("opus", "vorbis", "aac", "mp3", "flac", "alac", "pcm_")
_PASSED_AUDIO = {
    "ogg": ("ogg", "audio/ogg"),
    "mp3": ("mp3", "audio/mpeg"),
    "wav": ("wav", "audio/wav"),
    "flac": ("flac", "audio/flac"),
}


class NotFit(Exception):
    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def prepare_image(
    data: bytes,
    longest_side: int = LONGEST_SIDE,
    formats: Sequence[str] = tuple(_PASSED_IMAGES.values()),
) -> dict[str, Any]:
    """As it is when the model takes it, else downscaled, turned upright, on white; of an animation the first frame."""
    from PIL import Image, ImageOps
    from pillow_heif import register_heif_opener

    register_heif_opener()
    Image.init()
    readable = [known for known in _FORMATS if known in Image.OPEN]
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(data), formats=readable) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise NotFit("image_too_large", f"{width}x{height}")
            animated = bool(getattr(image, "is_animated", False))
            kind = image.format or ""
            upright = image.getexif().get(_ORIENTATION, 1) in (0, 1) and image.mode in _PASSED_MODES
            if (
                _PASSED_IMAGES.get(kind, "") in formats
                and upright
                and not animated
                and len(data) <= PASS_BYTES
                and max(width, height) <= longest_side
            ):
                image.load()
                return {
                    "data": data,
                    "mime": _PASSED_IMAGES[kind],
                    "width": width,
                    "height": height,
                    "animated": False,
                }
            image.draft("RGB", (longest_side, longest_side))
            turned = ImageOps.exif_transpose(image)
            turned.thumbnail((longest_side, longest_side))
            with_alpha = turned.convert("RGBA")
            flat = Image.new("RGB", with_alpha.size, "white")
            flat.paste(with_alpha, mask=with_alpha.getchannel("A"))
            out = io.BytesIO()
            flat.save(out, "JPEG", quality=85)
            return {
                "data": out.getvalue(),
                "mime": "image/jpeg",
                "width": flat.width,
                "height": flat.height,
                "animated": animated,
            }
    except NotFit:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotFit("image_too_large") from error
    except Exception as error:  # decoders raise whatever the bytes lead them to
        raise NotFit("image_undecodable", type(error).__name__) from error


def prepare_audio(
    data: bytes, audio_format: str = "as-is", part_seconds: float | None = None
) -> dict[str, Any]:
    """Named by what it is; transcoded (mono, 16 kHz) where the API would refuse it or parts are needed."""
    import av

    try:
        with av.open(io.BytesIO(data), "r") as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None:
                raise NotFit("audio_undecodable", "no sound in it")
            formats, codec = container.format.name.split(","), stream.codec_context.name
            seconds = (
                float(stream.duration * stream.time_base)
                if stream.duration and stream.time_base
                else (container.duration or 0) / 1e6
            )
            as_is = (
                audio_format == "as-is"
                and _passes(formats, codec, data)
                and 0 < seconds <= (part_seconds or LONGEST_SECONDS)
            )
            wanted = "mp3" if audio_format == "as-is" else audio_format
            parts = [] if as_is else _transcoded(container, stream, wanted, part_seconds)
    except NotFit:
        raise
    except Exception as error:  # decoders raise whatever the bytes lead them to
        raise NotFit("audio_undecodable", type(error).__name__) from error
    heard = seconds if as_is else sum(part["duration_seconds"] for part in parts)
    if heard < SHORTEST_SECONDS:
        raise NotFit("audio_too_short", f"{heard:.2f} s")
    if as_is:
        extension, mime = next(
            ((*_PASSED_AUDIO[name],) for name in formats if name in _PASSED_AUDIO),
            ("m4a", "audio/mp4"),
        )
        if "webm" in formats:
            extension, mime = "webm", "audio/webm"
        parts = [
            {
                "data": data,
                "filename": f"audio.{extension}",
                "mime": mime,
                "duration_seconds": heard,
            }
        ]
    if any(len(part["data"]) > AUDIO_BYTES for part in parts):
        raise NotFit("audio_too_long", f"{heard:.0f} s")
    return {"parts": parts, "duration_seconds": heard}


def _passes(formats: list[str], codec: str, data: bytes) -> bool:
    """Whether the API takes the container and codec as they are."""
    if len(data) > AUDIO_BYTES:
        return False
    if not codec.removeprefix("lib").startswith(_PASSED_CODECS):
        return False
    return (
        bool({"ogg", "mp3", "wav", "flac", "mov", "mp4", "m4a", "webm", "matroska"} & set(formats))
        and "aac" not in formats
    )


def _transcoded(
    container: Any, stream: Any, wanted: str, part_seconds: float | None
) -> list[dict[str, Any]]:
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    sound = bytearray()
    for frame in _frames(container, stream):
        for resampled in resampler.resample(frame):
            sound += bytes(resampled.planes[0])[: resampled.samples * 2]
        if len(sound) > LONGEST_SECONDS * 32_000:
            raise NotFit("audio_too_long", f"over {LONGEST_SECONDS} s")
    for resampled in resampler.resample(None):
        sound += bytes(resampled.planes[0])[: resampled.samples * 2]
    size = int((part_seconds or LONGEST_SECONDS) * 16_000) * 2
    mime = "audio/mpeg" if wanted == "mp3" else "audio/wav"
    pieces = [bytes(sound[at : at + size]) for at in range(0, len(sound), size)]
    return [
        {
            "data": _encoded(piece, wanted),
            "filename": f"audio.{wanted}",
            "mime": mime,
            "duration_seconds": len(piece) / 32_000,
        }
        for piece in pieces
    ]


def _encoded(piece: bytes, wanted: str) -> bytes:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=wanted) as target:
        encoder = target.add_stream(
            "mp3" if wanted == "mp3" else "pcm_s16le", rate=16_000, layout="mono"
        )
        if wanted == "mp3":
            encoder.bit_rate = 32_000
        resampler = av.AudioResampler(
            format="s16p" if wanted == "mp3" else "s16", layout="mono", rate=16_000
        )
        for at in range(0, len(piece), 32_000):
            chunk = piece[at : at + 32_000]
            frame = av.AudioFrame(format="s16", layout="mono", samples=len(chunk) // 2)
            frame.planes[0].update(chunk)
            frame.sample_rate = 16_000
            for resampled in resampler.resample(frame):
                target.mux(encoder.encode(resampled))
        for resampled in resampler.resample(None):
            target.mux(encoder.encode(resampled))
        target.mux(encoder.encode(None))
    return out.getvalue()


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Decoded frames. Single broken packets are left out, as a player does (FFmpeg does not know AMR's frames of silence)."""
    import av

    good = bad = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            bad += 1
            continue
        good += 1
        yield from frames
    if bad > good:
        raise NotFit("audio_undecodable", f"{bad} of {bad + good} packets")


WORK: dict[str, Callable[..., dict[str, Any]]] = {
    "image": prepare_image,
    "audio": prepare_audio,
}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(4)) == 4:
        what, data, options = msgspec.msgpack.decode(
            source.read(struct.unpack(">I", head)[0]), type=tuple[str, bytes, dict[str, Any]]
        )
        try:
            answer = WORK[what](data, **options)
        except NotFit as unfit:
            answer = {"reason": unfit.reason, "detail": unfit.detail}
        except MemoryError:
            answer = {"reason": f"{what}_undecodable", "detail": "out of memory"}
        encoded = msgspec.msgpack.encode(answer)
        sink.write(struct.pack(">I", len(encoded)) + encoded)
        sink.flush()


if __name__ == "__main__":
    main()
