"""Prepares a picture for a vision model: upright, 8 bits, opaque, and not too large."""

import io
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from PIL import AvifImagePlugin, Image, ImageChops, ImageFile
from pillow_heif import options, register_heif_opener

from connectors.media.frames import ImageMime, PreparedImage
from connectors.media.pixels import (
    eight_bits,
    first_visible,
    has_transparency,
    hide_key,
    opaque,
    scale_key,
)
from connectors.media.repairs import is_webp, with_usual_brand, without_extras
from connectors.media.tiffs import put_samples_right, teach_samples
from connectors.media.unfit import NotFit

MAX_PIXELS = 50_000_000
MAX_JPEG_PIXELS = 300_000_000
"""The most pixels of a JPEG, which is decoded at down to one eighth of its sides.

This many fit into the limit of CPU time.
"""
MAX_PROGRESSIVE_PIXELS = 120_000_000
"""For a progressive JPEG, all coefficients are in memory at once."""
PASS_BYTES = 4_000_000
FORMATS = (
    "JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "BMP", "TIFF", "ICO", "JPEG2000", "PPM",
)  # fmt: skip
"""The formats that a chat may contain, each known by its first bytes.

MPO is opened as JPEG. Some other formats are whole interpreters: Pillow hands EPS to
Ghostscript and WMF to the system. AVIF comes before HEIF, which would claim the brands
that both have.
"""
_TIFF_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32_773, 32_946})
"""The accepted compressions: none, fax, LZW, JPEG, deflate and PackBits.

Each of the others needs another decoder, and no scanner uses them.
"""
_COMPRESSION, _ORIENTATION = 259, 0x0112
_PNG_BITS = 24
"""The offset of a PNG's bits per sample.

Pillow hides that a colour picture has 16.
"""
_MIMES: dict[str, ImageMime] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
}
_ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF", "HEIF"})
_PASSED_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_NOTHING_AS_JPEG: dict[str, Any] = {"L": 128, "RGB": (128,) * 3, "CMYK": (127,) * 4}
"""The sample values that libjpeg produces for missing data."""
_DECODED_WHOLE = frozenset({"WEBP", "AVIF", "HEIF"})
"""The decoders of these formats return a whole frame or an error."""
_LEAST_DECODED = 0.125


def warm_up() -> None:
    """Loads every decoder, because no files can be read later.

    Each decodes in one thread.
    """
    register_heif_opener()
    Image.init()
    teach_samples()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    options.DECODE_THREADS = 1
    Image.new("LAB", (1, 1)).convert("RGB")  # loads the colour management


def prepare_image(data: bytes, longest_side: int, formats: frozenset[str]) -> PreparedImage:
    """The picture unchanged if a model can take it, otherwise as JPEG.

    A damaged picture is decoded as far as viewers show it. Raises NotFit.
    """
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    last: Exception | None = None
    for attempt in _attempts(data, longest_side, formats):
        try:
            return attempt()
        except NotFit:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise NotFit("image_too_large") from error
        except Exception as error:  # on hostile bytes decoders may raise anything
            last = last or error
    raise NotFit("image_undecodable", type(last).__name__) from last


def _attempts(
    data: bytes, longest_side: int, formats: frozenset[str]
) -> Iterator[Callable[[], PreparedImage]]:
    yield lambda: _whole(data, longest_side, formats)
    yield lambda: _damaged(data, longest_side)
    yield lambda: _repaired(data, longest_side)
    if is_webp(data):
        yield lambda: _repaired(data, longest_side, with_alpha=False)


def _whole(data: bytes, longest_side: int, formats: frozenset[str]) -> PreparedImage:
    with open_picture(data) as image:
        size, kind = image.size, image.format or ""
        _reduced(image, longest_side)
        image.load()
        _complete(image, data)
        orientation = image.getexif().get(_ORIENTATION, 1)
        if (
            _MIMES.get(kind) in formats
            and orientation in (0, 1)
            and not _animated(image)
            and len(data) <= PASS_BYTES
            and max(size) <= longest_side
            and image.mode in _PASSED_MODES
            and _has_plain_samples(data, image)
            and not has_transparency(eight_bits(image))
        ):
            return PreparedImage(data, _MIMES[kind], *size, animated=False)
        return _made(image, orientation, longest_side)


def _damaged(data: bytes, longest_side: int) -> PreparedImage:
    with open_picture(data, truncated=True) as image:
        _reduced(image, longest_side)
        _fill(image, 0)
        image.load()
        if _share_decoded(image, data) < _LEAST_DECODED:
            raise NotFit("image_undecodable", "next to no pixels")
        _complete(image, data)
        try:
            orientation = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # on hostile bytes the parser of metadata may raise anything
            orientation = 1
        return _made(image, orientation, longest_side)


def _repaired(data: bytes, longest_side: int, *, with_alpha: bool = True) -> PreparedImage:
    prepared = _damaged(without_extras(data, with_alpha=with_alpha), longest_side)
    animated = prepared.animated or (is_webp(data) and b"ANMF" in data)
    return msgspec.structs.replace(prepared, animated=animated)


def open_picture(data: bytes, *, truncated: bool = False) -> ImageFile.ImageFile:
    """Opens a picture of a known format within the size limits, without decoding it.

    Raises what Pillow raises, and NotFit.
    """
    # for a truncated HEIC the decoder would return a black picture instead of an error
    ImageFile.LOAD_TRUNCATED_IMAGES = truncated and data[4:8] != b"ftyp"
    is_jpeg = data.startswith(b"\xff\xd8\xff")
    Image.MAX_IMAGE_PIXELS = None if is_jpeg else MAX_PIXELS
    image = Image.open(io.BytesIO(with_usual_brand(data)), formats=FORMATS)
    pixels = image.width * image.height
    most = MAX_PIXELS
    if is_jpeg:
        progressive = "progressive" in image.info
        most = MAX_PROGRESSIVE_PIXELS if progressive else MAX_JPEG_PIXELS
    if pixels > most:
        raise NotFit("image_too_large", f"{image.width}x{image.height}")
    if pixels == 0:
        raise NotFit("image_undecodable", "no pixels")
    compression = getattr(image, "tag_v2", {}).get(_COMPRESSION, 1)
    if image.format == "TIFF" and compression not in _TIFF_COMPRESSIONS:
        raise NotFit("image_undecodable", f"compression {compression}")
    if image.format == "PNG":
        scale_key(image, data[_PNG_BITS])
    return image


def _complete(image: ImageFile.ImageFile, data: bytes) -> None:
    """Completes what Pillow leaves out.

    For a 16-bit colour PNG, Pillow keeps only the high bytes.
    """
    put_samples_right(image)
    is_wide = image.format == "PNG" and image.mode == "RGB" and data[_PNG_BITS] == 16
    if is_wide and "transparency" in image.info:
        with open_picture(data, truncated=ImageFile.LOAD_TRUNCATED_IMAGES) as low:
            low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
            low.load()
            hide_key(image, low)


def _reduced(image: ImageFile.ImageFile, longest_side: int) -> None:
    """Lets a JPEG be decoded at a half, a quarter or an eighth if that is large enough."""
    factor = min(1.0, longest_side / max(image.size))
    width, height = (max(1, math.ceil(side * factor)) for side in image.size)
    image.draft("RGB", (width, height))
    if image.width * image.height > MAX_PIXELS:
        raise NotFit("image_too_large", f"{image.width}x{image.height}")


def _made(image: ImageFile.ImageFile, orientation: int, longest_side: int) -> PreparedImage:
    shown = first_visible(image)
    shown.thumbnail((longest_side, longest_side))
    if orientation in _TURNS:
        shown = shown.transpose(_TURNS[orientation])
    shown = opaque(shown).convert("RGB")
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=85)
    return PreparedImage(out.getvalue(), "image/jpeg", *shown.size, animated=_animated(image))


def _animated(image: Image.Image) -> bool:
    return image.format in _ANIMATED and bool(getattr(image, "is_animated", False))


def _has_plain_samples(data: bytes, image: Image.Image) -> bool:
    return image.format != "PNG" or image.mode == "P" or data[_PNG_BITS] == 8


def _share_decoded(image: ImageFile.ImageFile, data: bytes) -> float:
    """The fraction of rows, from the top, that came from the data; 1 if that is unknown."""
    if image.format in ("JPEG", "MPO") and image.mode in _NOTHING_AS_JPEG:
        nothing = Image.new(image.mode, image.size, _NOTHING_AS_JPEG[image.mode])
        box = ImageChops.difference(image, nothing).convert("RGB").getbbox()
        return min(_last_row(image, box), _last_row(image, image.getbbox()))
    if image.format == "PNG":  # decoded again on another background: it shows where they differ
        with open_picture(data, truncated=True) as again:
            _fill(again, 255)
            again.load()
            ground = ImageChops.difference(_samples(image), _samples(again)).convert("L")
            return _last_row(image, ground.point(lambda value: 0 if value else 255).getbbox())
    if image.format in _DECODED_WHOLE:
        return 1.0
    samples = image if image.mode == "CMYK" else eight_bits(image).convert("RGB")
    return 1.0 if samples.getbbox() else 0.0


def _last_row(image: Image.Image, box: tuple[int, int, int, int] | None) -> float:
    return box[3] / image.height if box else 0.0


def _fill(image: ImageFile.ImageFile, byte: int) -> None:
    """Sets the initial pixels of a PNG, which its decoder keeps where data is missing."""
    if image.format == "PNG":
        bits = Image.new("1", image.size, byte)
        image.im = (bits if image.mode == "1" else _filled(image.mode, image.size, byte)).im


def _filled(mode: str, size: tuple[int, int], byte: int) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).tobytes())
    return Image.new(mode, size, 257 * byte if mode.startswith("I") else (byte,) * channels)


def _samples(image: Image.Image) -> Image.Image:
    """The comparable samples; for a picture with a palette these are its indices."""
    if image.mode == "P":
        return Image.frombytes("L", image.size, image.tobytes())
    return eight_bits(image).convert("RGB")
