"""Reads the text and the codes in a picture."""

import time
from typing import Any, NamedTuple

import cv2
import numpy as np
import zxingcpp
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_rec import TextRecOutput

SURE = 0.8
MAX_REGIONS = 200
MAX_TEXT_CHARS = 1_200
READ_SECONDS = 20.0
"""A page of fine print is read from the top, up to this time or MAX_TEXT_CHARS."""
MAX_SIDE = 1_440
"""With 1,600 the whole role would need over 1 GB for a page of fine print."""
WIDEST_LINE = 100
"""The maximal width of a line, as a multiple of its height."""
MAX_CODES = 5


class _Piece(NamedTuple):
    """A region of text: its middle and left edge in pixels, its height, and its text."""

    middle: float
    left: float
    height: float
    text: str


class _BoundedReader(RapidOCR):
    """Recognises regions one by one from the top, within limits.

    The rest stays empty. The library recognises six at once, padded to the widest of
    them. With that a page of fine print took 1.8 GB.
    """

    def recognize_txt(self, img: list[Any]) -> TextRecOutput:
        began, chars = time.monotonic(), 0
        texts, scores = [""] * len(img), [0.0] * len(img)
        for index, region in enumerate(img):
            if chars >= MAX_TEXT_CHARS or time.monotonic() - began > READ_SECONDS:
                break
            read: Any = super().recognize_txt([_not_too_wide(region)])
            texts[index], scores[index] = read.txts[0], read.scores[0]
            chars += len(texts[index])
        fields: dict[str, Any] = {"txts": tuple(texts), "word_results": ((),) * len(img)}
        return TextRecOutput(imgs=img, scores=scores, **fields)


def _not_too_wide(region: Any) -> Any:
    """Shrinks a wide line, because memory grows with the width at the model's height."""
    height, width = region.shape[:2]
    widest = WIDEST_LINE * height
    return cv2.resize(region, (widest, height)) if width > widest else region


class TextReader:
    """PP-OCRv6, whose weights are in the rapidocr package."""

    def __init__(self, threads: int) -> None:
        cv2.setNumThreads(threads)
        onnx = "EngineConfig.onnxruntime."
        self._engine = _BoundedReader(
            params={
                f"{onnx}intra_op_num_threads": threads,
                f"{onnx}inter_op_num_threads": 1,
                f"{onnx}enable_cpu_mem_arena": False,
                "Global.log_level": "error",
                "Global.max_side_len": MAX_SIDE,
                "Det.max_candidates": MAX_REGIONS,
            }
        )

    def load(self) -> None:
        """Loads the models at once instead of with the first picture."""
        self._engine(np.full((64, 64, 3), 255, np.uint8))

    def lines(self, pixels: Any) -> list[str]:
        """The lines of text in an RGB array, from top to bottom."""
        found: Any = self._engine(pixels[:, :, ::-1])
        if not found.txts:
            return []
        return rows(
            [
                _Piece(
                    float(box[:, 1].mean()),
                    float(box[:, 0].min()),
                    float(box[:, 1].max() - box[:, 1].min()),
                    text.strip(),
                )
                for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
                if score >= SURE and len(text.strip()) > 1
            ]
        )

    def codes(self, pixels: Any) -> list[str]:
        """The contents of QR codes and bar codes in an RGB array."""
        return [code.text for code in zxingcpp.read_barcodes(pixels) if code.text][:MAX_CODES]


def rows(pieces: list[_Piece]) -> list[str]:
    """Joins pieces with nearly the same middle into one row, each from left to right."""
    grouped: list[list[_Piece]] = []
    for piece in sorted(pieces):
        if grouped and abs(grouped[-1][0].middle - piece.middle) < 0.5 * piece.height:
            grouped[-1].append(piece)
        else:
            grouped.append([piece])
    return [
        " ".join(piece.text for piece in sorted(row, key=lambda piece: piece.left))
        for row in grouped
    ]
