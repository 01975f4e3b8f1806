"""Turns any samples of a picture into the eight bits and the opaque ground that a model sees."""

from collections.abc import Callable

from PIL import Image

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_PLAIN = ("L", "RGB")
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_MOST_FRAMES = 50
_GROUNDS = (255, 0, 128, 64, 192)
"""Of black, white and any third ink, one of these is unlike all three."""
_TOO_ALIKE = 48
_MAY_VANISH = 0.005
_PIXELS_MAY_VANISH = 24
"""A spot that is a part of what is drawn has more; the fringe of smoothed edges has fewer."""
_FAINT = 32
_OVERSHOOT = 0.05


def first_visible(image: Image.Image) -> Image.Image:
    """The picture as L, RGB or RGBA; of an animation the first frame that shows anything."""
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
    """As a viewer shows it, in mode L, RGB or RGBA. Pillow alone would cut off all above 255."""
    if image.mode in _SIXTEEN_BITS:
        return _high_bytes(image)
    if image.mode in ("I", "F"):
        return _by_range(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in _PLAIN:
        image.load()
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def opaque(image: Image.Image) -> Image.Image:
    """On white, or on black or grey where part of what can be seen would vanish on white."""
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
    least = min(_FAINT, max(1, strongest))  # type: ignore[call-overload]
    visible = alpha.point(lambda value: 255 if value >= least else 0)
    counts = image.convert("L").histogram(mask=visible)

    def vanishing(ground: int) -> int:
        return sum(counts[max(0, ground - _TOO_ALIKE) : ground + _TOO_ALIKE + 1])

    may_vanish = min(_PIXELS_MAY_VANISH, int(sum(counts) * _MAY_VANISH))
    white = vanishing(_GROUNDS[0])
    return _GROUNDS[0] if white <= may_vanish else min(_GROUNDS, key=vanishing)


def _high_bytes(image: Image.Image) -> Image.Image:
    """Of samples that use fewer than 16 bits (a TIFF says so) the highest eight that are used."""
    image.load()
    wide = image.convert("I")
    bits = _tag(image, _BITS_PER_SAMPLE, 16)
    return _scaled(wide, 0, (1 << bits) - 1 if 8 < bits <= 16 else 65_535, image)


def _by_range(image: Image.Image) -> Image.Image:
    """No file says what is white in such samples: the least usual scale that holds them all."""
    image.load()
    low, high = (float(end) for end in image.getextrema())  # type: ignore[arg-type]
    if not low <= high:
        return _scaled(image.point(_linear(0, 0)), 0, 1, image)
    usual = (255, 65_535) if image.mode == "I" else (1, 255, 65_535)
    white = next((n for n in usual if low >= -_OVERSHOOT * n and high <= n + _OVERSHOOT * n), None)
    if image.mode == "I" and image.format in ("PNG", "PPM"):
        white = 65_535
    return _scaled(image, 0, white, image) if white else _scaled(image, low, high, image)


def _scaled(image: Image.Image, low: float, high: float, source: Image.Image) -> Image.Image:
    factor = 255 / (high - low) if high > low else 0
    # convert() cuts off the fraction; half a step more makes it round
    grey = image.convert("F").point(_linear(factor, 0.5 - low * factor)).convert("L")
    negative = _tag(source, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    return grey.point(lambda value: 255 - value) if negative else grey


def _linear(factor: float, offset: float) -> Callable[[float], float]:
    return lambda value: value * factor + offset


def _tag(image: Image.Image, number: int, default: int) -> int:
    """A number from a TIFF's header; `default` for every other kind of file."""
    tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
    value = tags.get(number, default) if tags is not None else default
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else default
