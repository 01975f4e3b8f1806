"""The local speech model: Whisper base, on one processor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from connectors.engines.outcomes import EARS, JobAbandoned, Transcript
from connectors.engines.sound import RATE, samples_of

PASS_SECONDS = 300
"""A longer sound is transcribed in several passes.

The model's working memory grows with the length.
"""
_SEEK_SECONDS = 10


class SpeechEngine:
    """Transcribes sounds. Silence gives an empty text."""

    name = EARS
    does = "transcribes speech"

    def __init__(self, weights: Path, threads: int) -> None:
        self._model = WhisperModel(
            str(weights), device="cpu", compute_type="int8", cpu_threads=threads,
            local_files_only=True,
        )  # fmt: skip
        self._languages = frozenset(self._model.supported_languages)

    def hear(
        self, sound: bytes, *, language: str | None, prompt: str | None, stop: Callable[[], bool]
    ) -> Transcript:
        """Transcribes a sound, calling `stop` between the model's windows of 30 s.

        Raises RequestRefused and JobAbandoned.
        """
        samples = samples_of(sound)
        texts: list[str] = []
        for piece in passes(samples, PASS_SECONDS * RATE, _SEEK_SECONDS * RATE):
            segments, _ = self._model.transcribe(
                piece.astype("float32") / 32_768,
                language=language if language in self._languages else None,
                initial_prompt=prompt,
                vad_filter=True,
                condition_on_previous_text=False,
            )
            for segment in segments:
                if stop():
                    raise JobAbandoned
                texts.append(segment.text.strip())
        return Transcript(" ".join(text for text in texts if text), len(samples) / RATE)


def passes(samples: Any, longest: int, seek: int) -> list[Any]:
    """Pieces of at most `longest` samples.

    Each is cut at the quietest point of its last `seek` samples.
    """
    pieces = []
    while len(samples) > longest:
        tail = samples[longest - seek : longest].astype(np.float32)
        windows = np.add.reduceat(np.abs(tail), np.arange(0, seek, RATE // 10))
        cut = longest - seek + int(windows.argmin()) * (RATE // 10) + RATE // 20
        pieces.append(samples[:cut])
        samples = samples[cut:]
    return [*pieces, samples] if len(samples) else pieces
