"""Converts the samples of a picture to 8 bits on an opaque background, for a model."""

import sys
from collections.abc import Callable

from PIL import Image, ImageChops

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_PLAIN = ("L", "RGB")
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO, _MAX_SAMPLE_VALUE = 258, 262, 0, 281
_SAMPLE_FORMAT, _UNSIGNED = 339, 1
_MOST_MEASURED = 1 << 28
"""Larger values belong to a scale that uses all 32 bits.

Pillow reads the upper half of that scale as negative.
"""
_MOST_FRAMES = 50
_GROUNDS = (255, 0, 128, 64, 192)
"""One of these greys differs from black, white and any third ink."""
_TOO_ALIKE = 48
_MAY_VANISH = 0.005
_PIXELS_MAY_VANISH = 24
"""A spot that is part of the drawing has more pixels; the fringe of smooth edges has fewer."""
_FAINT = 32
_OVERSHOOT = 0.05


def first_visible(image: Image.Image) -> Image.Image:
    """The picture as L, RGB or RGBA.

    Of an animation it is the first frame in which anything is visible.
    """
    first = eight_bits(image)
    if not getattr(image, "is_animated", False) or not _invisible(first):
        return first
    try:
        for number in range(1, _MOST_FRAMES):
            image.seek(number)
            frame = eight_bits(image)
            if not _invisible(frame):
                return frame
    except (EOFError, OSError, SyntaxError, ValueError):  # no further frame, or a damaged one
        pass
    return first


def eight_bits(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it, in mode L, RGB or RGBA.

    Pillow alone would clip all samples above 255.
    """
    if image.mode in _SIXTEEN_BITS:
        grey = _high_bytes(image)
        key = image.info.get("transparency")
        return _without(key, image, grey) if isinstance(key, int) else grey
    if image.mode in ("I", "F"):
        return _by_range(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in _PLAIN:
        image.load()
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def scale_key(image: Image.Image, bits: int) -> None:
    """Scales the transparent grey of a PNG as Pillow scales the samples.

    Pillow does not do that itself.
    """
    key = image.info.get("transparency")
    if image.mode == "L" and bits in (2, 4) and isinstance(key, int):
        image.info["transparency"] = key * 255 // ((1 << bits) - 1)


def hide_key(image: Image.Image, low: Image.Image) -> None:
    """Makes the transparent colour of a 16-bit PNG invisible; `low` contains the low bytes."""
    key = image.info.pop("transparency")
    alpha = Image.new("L", image.size)
    for value, high_band, low_band in zip(key, image.split(), low.split(), strict=True):
        for byte, samples in ((value >> 8, high_band), (value & 255, low_band)):
            alpha = ImageChops.lighter(alpha, _unlike(samples, byte))
    image.putalpha(alpha)


def opaque(image: Image.Image) -> Image.Image:
    """The picture on white.

    It is on black or grey if visible parts of it would vanish on white.
    """
    if image.mode != "RGBA":
        return image
    alpha = image.getchannel("A")
    flat = Image.new("RGB", image.size, (_ground(image, alpha),) * 3)
    flat.paste(image, mask=alpha)
    return flat


def has_transparency(image: Image.Image) -> bool:
    return image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)


def _invisible(image: Image.Image) -> bool:
    return image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0)


def _ground(image: Image.Image, alpha: Image.Image) -> int:
    strongest = alpha.getextrema()[1]
    least = min(_FAINT, max(1, strongest))
    visible = alpha.point(lambda value: 255 if value >= least else 0)
    counts = image.convert("L").histogram(mask=visible)

    def vanishing(ground: int) -> int:
        return sum(counts[max(0, ground - _TOO_ALIKE) : ground + _TOO_ALIKE + 1])

    may_vanish = min(_PIXELS_MAY_VANISH, int(sum(counts) * _MAY_VANISH))
    white = vanishing(_GROUNDS[0])
    return _GROUNDS[0] if white <= may_vanish else min(_GROUNDS, key=vanishing)


def _without(key: int, image: Image.Image, grey: Image.Image) -> Image.Image:
    """`grey`, transparent where the unscaled sample was `key`."""
    low, high = (Image.frombytes("L", image.size, image.tobytes()[first::2]) for first in (0, 1))
    alpha = ImageChops.lighter(_unlike(low, key & 255), _unlike(high, key >> 8))
    return Image.merge("RGBA", (grey, grey, grey, alpha))


def _unlike(samples: Image.Image, byte: int) -> Image.Image:
    return samples.point(lambda value: 255 * (value != byte))


def _high_bytes(image: Image.Image) -> Image.Image:
    """The highest eight used bits of samples that use fewer than 16 bits.

    A TIFF states the number by its bits per sample or, as many X-rays do, by its
    largest value.
    """
    image.load()
    wide = image.convert("I")
    bits = _tag(image, _BITS_PER_SAMPLE, 16)
    white = (1 << bits) - 1 if 8 < bits <= 16 else 65_535
    largest = _tag(image, _MAX_SAMPLE_VALUE, white)
    is_true = 255 <= largest < white and wide.getextrema()[1] <= largest  # type: ignore[operator]
    return _scaled(wide, 0, largest if is_true else white, image)


def _by_range(image: Image.Image) -> Image.Image:
    """Scales samples whose white level no file declares.

    It uses the first of the usual scales that covers all values.
    """
    image.load()
    low, high = (float(end) for end in image.getextrema())  # type: ignore[arg-type]
    if not low <= high:
        return _scaled(image.point(_linear(0, 0)), 0, 1, image)
    is_unsigned = image.format == "TIFF" and _tag(image, _SAMPLE_FORMAT, _UNSIGNED) == _UNSIGNED
    if image.mode == "I" and is_unsigned and (low < 0 or high > _MOST_MEASURED):
        highest = slice(3 if sys.byteorder == "little" else 0, None, 4)
        grey = Image.frombytes("L", image.size, image.tobytes()[highest])
        return _scaled(grey, 0, 255, image)
    usual = (255, 65_535) if image.mode == "I" else (1, 255, 65_535)
    white = next((n for n in usual if low >= -_OVERSHOOT * n and high <= n + _OVERSHOOT * n), None)
    if image.mode == "I" and image.format in ("PNG", "PPM"):
        white = 65_535
    return _scaled(image, 0, white, image) if white else _scaled(image, low, high, image)


def _scaled(image: Image.Image, low: float, high: float, source: Image.Image) -> Image.Image:
    factor = 255 / (high - low) if high > low else 0
    # convert() truncates, so half a step is added to round
    grey = image.convert("F").point(_linear(factor, 0.5 - low * factor)).convert("L")
    negative = _tag(source, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    return grey.point(lambda value: 255 - value) if negative else grey


def _linear(factor: float, offset: float) -> Callable[[float], float]:
    return lambda value: value * factor + offset


def _tag(image: Image.Image, number: int, default: int) -> int:
    """A number from a TIFF's header, or `default` for other formats."""
    tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
    value = tags.get(number, default) if tags is not None else default
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else default
