"""Reads the text and the codes in a picture."""

from typing import Any, NamedTuple

import cv2
import numpy as np
import zxingcpp
from rapidocr import RapidOCR

SURE = 0.8
MAX_REGIONS = 200
"""Regions of text that are read in one picture: what bounds the time a page of fine print takes."""
MAX_SIDE = 1_600
MAX_CODES = 5


class _Piece(NamedTuple):
    """A region of text: its middle and left edge in pixels, its height, and what it says."""

    middle: float
    left: float
    height: float
    text: str


class Reading:
    """PP-OCRv6, whose weights are in the rapidocr package."""

    def __init__(self, threads: int) -> None:
        cv2.setNumThreads(threads)
        onnx = "EngineConfig.onnxruntime."
        self._engine = RapidOCR(
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
        """Loads the models now, and not at the first picture."""
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
        """What QR and bar codes in an RGB array say."""
        return [code.text for code in zxingcpp.read_barcodes(pixels) if code.text][:MAX_CODES]


def rows(pieces: list[_Piece]) -> list[str]:
    """Joins pieces whose middles are close into one row, each row from left to right."""
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
