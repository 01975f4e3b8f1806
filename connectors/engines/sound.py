"""Decodes a voice note to samples: 16 kHz, one channel."""

import io
from typing import Any

import av
import numpy as np

from connectors.engines.outcomes import RequestRefused

RATE = 16_000
MAX_SECONDS = 1_800
_CODECS = ("opus", "vorbis", "aac", "mp3", "flac", "alac", "pcm_")


def container_of(sound: bytes) -> str | None:
    """FFmpeg's name for the container, from its first bytes; None if it is not supported.

    FFmpeg gets the name and never guesses: among its guesses are playlists, which refer
    to other files.
    """
    if sound.startswith(b"OggS"):
        return "ogg"
    if sound.startswith(b"RIFF") and sound[8:12] == b"WAVE":
        return "wav"
    if sound.startswith(b"fLaC"):
        return "flac"
    if sound[4:8] == b"ftyp":
        return "mov"
    if sound.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if sound.startswith(b"ID3") or (len(sound) > 1 and sound[0] == 0xFF and sound[1] >> 5 == 7):
        return "mp3"
    return None


def samples_of(sound: bytes) -> Any:
    """The samples (int16).

    Raises RequestRefused if there is no sound, or more than MAX_SECONDS of it.
    """
    container_format = container_of(sound)
    if container_format is None:
        raise RequestRefused(400, "this server accepts ogg, wav, flac, mp3, mp4 and webm")
    pieces: list[Any] = []
    count = 0
    try:
        with av.open(io.BytesIO(sound), "r", format=container_format) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or not stream.codec_context.name.startswith(_CODECS):
                raise RequestRefused(400, "the file contains no sound that can be decoded")
            stream.codec_context.thread_count = 1
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in container.decode(stream):
                for block in resampler.resample(frame):
                    pieces.append(block.to_ndarray().reshape(-1))
                    count += block.samples
                if count > MAX_SECONDS * RATE:
                    raise RequestRefused(413, f"the sound is over {MAX_SECONDS} s long")
            for block in resampler.resample(None):
                pieces.append(block.to_ndarray().reshape(-1))
    except RequestRefused:
        raise
    except Exception as error:  # on hostile bytes decoders may raise anything
        raise RequestRefused(400, f"the sound cannot be read: {type(error).__name__}") from error
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
