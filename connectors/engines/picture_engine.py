"""Reports the text and codes in a picture, and its main object if that is certain.

This is not a describer: it says nothing about what it did not recognise.
"""

import io
import unicodedata
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from connectors.engines.naming import Naming
from connectors.engines.outcomes import EYES, RequestRefused
from connectors.engines.text_reader import MAX_SIDE, MAX_TEXT_CHARS, TextReader

MAX_PIXELS = 16_000_000
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_WORDY_CHARS = 60
"""A picture with this much text is about the text: a receipt is not an envelope."""
_SPANISH = {
    "thing": "Objeto principal: {}.",
    "text": "Texto: «{}»",
    "codes": "Códigos: «{}»",
    "nothing": "Ni texto, ni códigos, ni un objeto reconocido con certeza.",
}
_ENGLISH = {
    "thing": "Main object: {}.",
    "text": "Text: «{}»",
    "codes": "Codes: «{}»",
    "nothing": "No text, no codes, no object recognised with certainty.",
}


class PictureEngine:
    """Reads text and codes, and names objects if the weights of `naming` are present."""

    name = EYES

    def __init__(self, *, naming_model: Path | None, threads: int) -> None:
        self._reading = TextReader(threads)
        self._naming = Naming(naming_model, threads) if naming_model else None
        self.does = "reads text and codes" + (
            ", and names the main object when it is sure" if self._naming else ""
        )
        self._reading.load()

    def look(self, picture: bytes, *, spanish: bool) -> str:
        """Raises RequestRefused for bytes that are not a picture, or for one that is too large."""
        image = _opened(picture)
        pixels = np.asarray(image)
        lines, codes = self._reading.lines(pixels), self._reading.codes(pixels)
        wordy = sum(map(len, lines)) >= _WORDY_CHARS
        thing = None if wordy or not self._naming else self._naming.name(image)
        words, sentences = _SPANISH if spanish else _ENGLISH, []
        if thing:
            sentences.append(words["thing"].format(thing.spanish if spanish else thing.english))
        if lines:
            sentences.append(words["text"].format(quotable(" / ".join(lines))))
        if codes:
            sentences.append(words["codes"].format(quotable(" / ".join(codes))))
        return " ".join(sentences) or words["nothing"]


def quotable(text: str) -> str:
    """Text of a picture that can neither end its own quotation nor look like a marker."""
    plain = "".join(_plain(char) for char in unicodedata.normalize("NFC", text))
    return " ".join(plain.split())[:MAX_TEXT_CHARS]


def _plain(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Pi", "Pf"):
        return '"'
    if category in ("Ps", "Pe"):
        return "(" if category == "Ps" else ")"
    return " " if category[0] in "CZ" else char


def _opened(picture: bytes) -> Image.Image:
    """An upright RGB picture on white, scaled down to MAX_SIDE."""
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(picture), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise RequestRefused(413, f"the picture has over {MAX_PIXELS} pixels")
            image.draft("RGB", (MAX_SIDE, MAX_SIDE))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((MAX_SIDE, MAX_SIDE))
            layered = upright.convert("RGBA")
    except RequestRefused:
        raise
    except Exception as error:  # on hostile bytes decoders may raise anything
        raise RequestRefused(400, f"the picture cannot be read: {type(error).__name__}") from error
    flat = Image.new("RGB", layered.size, "white")
    flat.paste(layered, mask=layered.getchannel("A"))
    return flat
