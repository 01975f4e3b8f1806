"""Names the main object in a picture if the model is sure of it."""

from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from connectors.engines.image_classes import THINGS, Thing

SURE = 0.5
"""The least probability at which an object is named.

Of 31 everyday pictures, 12 reached it, and 11 of those were named right.
"""
_SIDE, _CENTRE = 224, 0.95


class Naming:
    """EfficientNet-Lite0 with the classes of ImageNet."""

    def __init__(self, model: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def name(self, image: Image.Image) -> Thing | None:
        """The object in an RGB picture, or None if no group of classes is sure."""
        width, height = image.size
        side = max(int(min(width, height) * _CENTRE), 1)
        left, top = (width - side) // 2, (height - side) // 2
        small = image.crop((left, top, left + side, top + side)).resize((_SIDE, _SIDE))
        values = (np.asarray(small, np.float32) - 127) / 128
        batch = np.ascontiguousarray(values.transpose(2, 0, 1)[None])
        probabilities = self._session.run(None, {"input": batch})[0][0]
        sureness, thing = max(
            ((float(probabilities[list(thing.classes)].sum()), thing) for thing in THINGS),
            key=lambda pair: pair[0],
        )
        return thing if sureness >= SURE else None
