"""The requests to a decoding worker and its answers.

An answer comes from a process that hostile bytes may have taken over, so its types
allow no more than a valid answer needs.
"""

from typing import Annotated, Literal

import msgspec

ANSWER_BYTES = 64 * 1024 * 1024
ImageMime = Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
AudioMime = Literal["audio/ogg", "audio/mpeg", "audio/wav", "audio/flac", "audio/mp4", "audio/webm"]
AudioFormat = Literal["as-is", "mp3", "wav"]
_Filename = Annotated[
    str, msgspec.Meta(pattern=r"^audio(-[0-9]{1,6})?\.(ogg|mp3|wav|flac|m4a|webm)$")
]
_Size = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=100_000)]


class Hello(msgspec.Struct, frozen=True):
    """The worker is ready.

    `network_namespace`: the worker has a network namespace of its own without
    interfaces.
    """

    network_namespace: bool


class Request(msgspec.Struct, frozen=True):
    what: Literal["image", "audio", "probe"]
    data: bytes
    cpu_seconds: int
    longest_side: int = 2048
    formats: frozenset[str] = frozenset()
    audio_format: AudioFormat = "as-is"
    part_seconds: float | None = None


class Reply(msgspec.Struct, frozen=True):
    """The way in which the child for one file ended.

    `signal` is the one that killed it, or 0; `answer` is what it wrote.
    """

    answer: bytes
    signal: int
    cpu_seconds: float


UnfitReason = Literal[
    "image_undecodable",
    "image_too_large",
    "audio_undecodable",
    "audio_too_short",
    "audio_too_long",
    "audio_silent",
]


class NotPrepared(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The file cannot be prepared for a model; `reason` is an AttachmentReason."""

    reason: UnfitReason
    detail: Annotated[str, msgspec.Meta(max_length=200)] = ""


class PreparedImage(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    data: bytes
    mime: ImageMime
    width: _Size
    height: _Size
    animated: bool


class AudioPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of a sound. The extension of `filename` tells the API its format."""

    data: bytes
    filename: _Filename
    mime: AudioMime
    duration_seconds: _Seconds


class PreparedAudio(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A sound as parts in order.

    `duration_seconds` is that of the whole sound, including its silences.
    """

    parts: Annotated[tuple[AudioPart, ...], msgspec.Meta(min_length=1)]
    duration_seconds: _Seconds


class Probed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The results of a child's probe.

    They map each name in isolation.HOLDS to True if the attempt was prevented.
    """

    holds: dict[str, bool]
