"""Support for TIFF sample formats that Pillow can decode but does not list."""

import sys

from PIL import Image, ImageFile, TiffImagePlugin

_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC, _EXTRA_SAMPLES = 258, 259, 262, 338
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _ICC_LAB = 0, 1, 9
_UNSIGNED, _FLOAT = (1,), (3,)
_ORDERS = {b"II": "", b"MM": "B"}
_ALPHAS = (1, 2)


def teach_samples() -> None:
    """Registers the formats with Pillow.

    `put_samples_right` completes them after decoding.
    """
    known = TiffImagePlugin.OPEN_INFO
    for order, letter in _ORDERS.items():
        for grey in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
            known[order, grey, _FLOAT, 1, (64,), ()] = ("F", f"F;64{letter}F")
        for extra in ((), (0,), (1,), (2,)):
            known[order, _BLACK_IS_ZERO, _UNSIGNED, 1, (16, 16), extra] = ("RGBA", "RGBA")
        known[order, _ICC_LAB, _UNSIGNED, 1, (8, 8, 8), ()] = ("LAB", "LAB")
    known[b"MM", _WHITE_IS_ZERO, _UNSIGNED, 1, (16,), ()] = ("I;16B", "I;16B")
    known[b"MM", _BLACK_IS_ZERO, _UNSIGNED, 1, (32,), ()] = ("I", "I;32B")


def put_samples_right(image: ImageFile.ImageFile) -> None:
    """Converts a decoded TIFF in place, if it has one of these formats."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    if image.tag_v2.get(_PHOTOMETRIC) == _ICC_LAB and image.mode == "LAB":
        light, *colours = image.split()
        signed = [colour.point(lambda value: value ^ 128) for colour in colours]
        image.im = Image.merge("LAB", (light, *signed)).im
    if image.tag_v2.get(_BITS_PER_SAMPLE) == (16, 16) and image.mode == "RGBA":
        image.im = _grey_with_alpha(image).im


def _grey_with_alpha(image: TiffImagePlugin.TiffImageFile) -> Image.Image:
    """Converts 16-bit samples that were read as two bytes each.

    In little-endian files the high byte comes last.
    """
    is_little = image.tag_v2.prefix == b"II"
    # The decoder of a compressed file returns the machine's byte order.
    if image.tag_v2.get(_COMPRESSION, 1) != 1:
        is_little = sys.byteorder == "little"
    bands = image.split()
    grey, alpha = (bands[1], bands[3]) if is_little else (bands[0], bands[2])
    if not set(image.tag_v2.get(_EXTRA_SAMPLES, ())) & set(_ALPHAS):
        alpha = Image.new("L", image.size, 255)
    return Image.merge("RGBA", (grey, grey, grey, alpha))
