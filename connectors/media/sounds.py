"""Prepares sound for a speech model.

Only known formats are opened, and the length is measured by decoding.
"""

import io
import wave
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import av
import msgspec

from connectors.media.frames import AudioFormat, AudioMime, AudioPart, PreparedAudio
from connectors.media.loudness import RATE, Loudness, Samples, cut
from connectors.media.signatures import frames_within
from connectors.media.unfit import NotFit
from connectors.media.waves import with_true_size

AUDIO_BYTES = 25_000_000
MAX_TOTAL_BYTES = 60_000_000
SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 4 * 3600
_CODECS = (
    "opus", "libopus", "vorbis", "libvorbis", "speex", "flac", "alac", "aac", "aac_latm",
    "mp3float", "mp3", "mp2float", "mp2", "mp1float", "mp1", "amrnb", "amrwb",
    "libopencore_amrnb", "libopencore_amrwb", "gsm", "gsm_ms",
    "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le",
    "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw",
    "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_ms",
)  # fmt: skip
"""The codecs of phones, browsers and recorders. All others of FFmpeg stay disabled."""
_MOST_LINKS = 1_000
_MOST_BYTES_TOO_SHORT = 64_000
"""Half a second of MPEG sound has at most 20,000 bytes.

A larger file without more sound only begins like MPEG, as a text may.
"""
_RATES = range(4_000, 384_001)
_PASSED_CODECS = ("opus", "vorbis", "aac", "mp3", "flac", "alac", "pcm_")
_PASSED: dict[str, tuple[str, AudioMime]] = {
    "ogg": ("ogg", "audio/ogg"),
    "mp3": ("mp3", "audio/mpeg"),
    "wav": ("wav", "audio/wav"),
    "flac": ("flac", "audio/flac"),
    "mov": ("m4a", "audio/mp4"),
    "matroska": ("webm", "audio/webm"),
}
"""The containers that the API accepts. Maps each demuxer to its extension and type."""
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free", b"pnot", b"styp")
_BITS_PER_SECOND = {"mp3": 32_000, "wav": 16 * RATE}


class _Writer(Protocol):
    def write(self, pcm: Samples) -> None: ...
    def finish(self) -> bytes: ...


@dataclass(slots=True)
class _Findings:
    """The facts about a sound that was decoded from beginning to end."""

    seconds: float = 0.0
    silent: bool = True
    damaged: bool = False
    announced: float | None = None
    codec: str = ""
    links: int = 1
    channels: int = 1


def warm_up() -> None:
    """Runs each encoder once, because no files can be read later."""
    Writers["wav"]().finish()
    writer = Writers["mp3"]()
    writer.write(array("h", bytes(2 * RATE)))
    writer.finish()


def prepare_audio(
    data: bytes, audio_format: AudioFormat, part_seconds: float | None
) -> PreparedAudio:
    """The sound unchanged if that is allowed and its header is right.

    Otherwise it becomes mono at 16 kHz, in parts if it is long. Silent parts are left
    out. Raises NotFit.
    """
    demuxer = demuxer_of(data)
    if demuxer is None:
        raise NotFit("audio_undecodable", "not a sound format that chats use")
    if demuxer == "wav":
        data = with_true_size(data)
    findings = _listened(data, demuxer, left_only=False)
    left_only = findings.silent and findings.channels == 2
    if left_only:  # channels of opposite phase are silent only when they are mixed
        findings = _listened(data, demuxer, left_only=True)
    if findings.seconds < SHORTEST_SECONDS:
        if demuxer in ("mp3", "aac") and len(data) > _MOST_BYTES_TOO_SHORT:
            raise NotFit("audio_undecodable", "only the first bytes look like sound")
        raise NotFit("audio_too_short", f"{findings.seconds:.2f} s")
    if findings.silent:
        raise NotFit("audio_silent", f"{findings.seconds:.0f} s")
    fits = part_seconds is None or findings.seconds <= part_seconds
    if fits and not left_only and _passes(data, demuxer, findings, audio_format):
        extension, mime = _PASSED[demuxer]
        parts = [AudioPart(data, f"audio.{extension}", mime, round(findings.seconds, 3))]
    else:
        written: Literal["mp3", "wav"] = "wav" if audio_format == "wav" else "mp3"
        parts = _parts(_decoded(data, demuxer, _Findings(), left_only), written, part_seconds)
    return PreparedAudio(tuple(parts), round(findings.seconds, 3))


def _listened(data: bytes, demuxer: str, *, left_only: bool) -> _Findings:
    findings, loudness = _Findings(), Loudness()
    for pcm in _decoded(data, demuxer, findings, left_only):
        loudness.add(pcm)
    findings.silent = loudness.silent
    return findings


_SEARCHED_BYTES = 65_536
_DEMUXERS = {"audio/mpeg": "mp3", "audio/aac": "aac", None: None}
"""The demuxers for frames after junk, or of a recording that was cut at its beginning.

Players find these too.
"""


def demuxer_of(data: bytes) -> str | None:
    """FFmpeg's name of the one demuxer that may read these bytes, by their signature."""
    if data.startswith(b"OggS"):
        return "ogg"
    if data[4:8] in _ISO_BOXES:
        return "mov"
    if data.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return "wav"
    if data.startswith((b"#!AMR-WB\n", b"#!AMR\n")):
        return "amr"
    if data.startswith(b"caff"):
        return "caf"
    if data.startswith(b"FORM") and data[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    return _mpeg_demuxer(data) or _DEMUXERS.get(frames_within(data[:_SEARCHED_BYTES]))


def open_sound(data: bytes, demuxer: str) -> Any:
    """Opens a container of that one format.

    It cannot open anything else or decode pictures. Raises what PyAV raises.
    """
    return av.open(
        io.BytesIO(data),
        "r",
        format=demuxer,
        options={
            "format_whitelist": av.ContainerFormat(demuxer, "r").name,
            "codec_whitelist": ",".join(_CODECS),
            "protocol_whitelist": "none",
        },
        io_open=_nothing_else,
    )


def _nothing_else(url: str, flags: int, options: dict[str, str]) -> Any:
    raise PermissionError("a sound is one file")


def _mpeg_demuxer(data: bytes) -> str | None:
    """The demuxer for MPEG sound, AAC frames or FLAC, each possibly after an ID3 tag."""
    at = 0
    if data.startswith(b"ID3") and len(data) > 10:
        at = 10 + _syncsafe(data[6:10])
    head = data[at : at + 4]
    if head == b"fLaC":
        return "flac"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    if at or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06):
        return "mp3"
    return None


def _syncsafe(four: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(four, (21, 14, 7, 0), strict=True))


def _decoded(
    data: bytes, demuxer: str, findings: _Findings, left_only: bool = False
) -> Iterator[Samples]:
    """Yields the sound as mono 16-bit samples at RATE, and records findings in `findings`.

    The samples are mixed from all channels, or taken from the left one with
    `left_only`.
    """
    links = ogg_links(data) if demuxer == "ogg" else [data]
    findings.links = len(links)
    for number, link in enumerate(links):
        try:
            yield from _decoded_link(link, demuxer, findings, left_only)
        except NotFit as unfit:
            if number == 0 or unfit.reason != "audio_undecodable":
                raise
            findings.damaged = True


def _decoded_link(
    data: bytes, demuxer: str, findings: _Findings, left_only: bool
) -> Iterator[Samples]:
    try:
        with open_sound(data, demuxer) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None:
                raise NotFit("audio_undecodable", "no sound in it")
            findings.codec = stream.codec_context.name
            if findings.codec not in _CODECS:
                raise NotFit("audio_undecodable", f"codec {findings.codec}")
            findings.announced = _announced(container, stream)
            yield from _resampled(_frames(container, stream, findings), findings, left_only)
    except NotFit:
        raise
    except Exception as error:  # on hostile bytes decoders may raise anything
        raise NotFit("audio_undecodable", type(error).__name__) from error


def ogg_links(data: bytes) -> list[bytes]:
    """Splits a chained Ogg file (RFC 3533), because FFmpeg fails when the sample rate changes.

    Each link begins with the first pages of its streams, which are marked and
    contiguous.
    """
    starts, at, in_heads = [0], 0, True
    while data[at : at + 4] == b"OggS" and len(data) >= at + 27:
        is_head = bool(data[at + 5] & 2)
        if is_head and not in_heads and len(starts) < _MOST_LINKS:
            starts.append(at)
        in_heads = is_head
        lacing = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(lacing) + sum(lacing)
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def _announced(container: Any, stream: Any) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _frames(container: Any, stream: Any, findings: _Findings) -> Iterator[Any]:
    """Yields decoded frames.

    Broken packets are skipped, as in players: FFmpeg does not know AMR silence frames.
    """
    good = bad = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
        except av.error.FFmpegError:  # the end is damaged
            findings.damaged = True
            break
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            bad += 1
            continue
        good += 1
        yield from frames
    findings.damaged = findings.damaged or bad > 0
    if bad > good:
        raise NotFit("audio_undecodable", f"{bad} of {bad + good} packets")


def _resampled(frames: Iterator[Any], findings: _Findings, left_only: bool) -> Iterator[Samples]:
    """Resamples the sound, with a new resampler whenever its rate or channels change."""
    resampler, shape = None, None
    layout = "stereo" if left_only else "mono"
    for frame in frames:
        if frame.sample_rate not in _RATES:
            raise NotFit("audio_undecodable", f"{frame.sample_rate} Hz")
        findings.seconds += frame.samples / frame.sample_rate
        if findings.seconds > LONGEST_SECONDS:
            raise NotFit("audio_too_long", f"over {LONGEST_SECONDS} s")
        findings.channels = max(findings.channels, len(frame.layout.channels))
        frame.pts = None  # times jump where a recorder paused; only the samples matter
        if shape != (shape := (frame.format.name, frame.layout.name, frame.sample_rate)):
            if resampler is not None:
                yield from map(_samples, resampler.resample(None))
            resampler = av.AudioResampler(format="s16", layout=layout, rate=RATE)
        assert resampler is not None
        yield from map(_samples, resampler.resample(frame))
    if resampler is not None:
        yield from map(_samples, resampler.resample(None))


def _samples(frame: Any) -> Samples:
    channels = len(frame.layout.channels)
    return array("h", bytes(frame.planes[0])[: frame.samples * 2 * channels])[::channels]


def _passes(data: bytes, demuxer: str, findings: _Findings, audio_format: AudioFormat) -> bool:
    """True if the API accepts the file as it is and will read the measured length from it."""
    if audio_format != "as-is" and demuxer != audio_format:
        return False
    announced = findings.announced
    seconds = findings.seconds
    truthful = announced is None or abs(announced - seconds) <= max(1, seconds / 10)
    return (
        len(data) <= AUDIO_BYTES
        and demuxer in _PASSED
        and findings.codec.removeprefix("lib").startswith(_PASSED_CODECS)
        and truthful
        and findings.links == 1
        and not findings.damaged
    )


def _parts(
    pcm: Iterator[Samples], written: Literal["mp3", "wav"], part_seconds: float | None
) -> list[AudioPart]:
    most = part_seconds and min(part_seconds, AUDIO_BYTES * 8 / _BITS_PER_SECOND[written])
    mime: AudioMime = "audio/wav" if written == "wav" else "audio/mpeg"
    parts: list[AudioPart] = []
    writer, loudness, samples = Writers[written](), Loudness(), 0
    for piece, ends in cut(pcm, most):
        loudness.add(piece)
        writer.write(piece)
        samples += len(piece)
        if not ends:
            continue
        if not loudness.silent:
            name = f"audio-{len(parts) + 1}.{written}"
            parts.append(AudioPart(writer.finish(), name, mime, round(samples / RATE, 3)))
        writer, loudness, samples = Writers[written](), Loudness(), 0
    if any(len(part.data) > AUDIO_BYTES for part in parts):
        raise NotFit("audio_too_long", f"over {AUDIO_BYTES} bytes as {written}")
    if sum(len(part.data) for part in parts) > MAX_TOTAL_BYTES:
        raise NotFit("audio_too_long", f"over {MAX_TOTAL_BYTES} bytes as {written}")
    if not parts:
        raise NotFit("audio_silent")
    if len(parts) == 1:
        return [msgspec.structs.replace(parts[0], filename=f"audio.{written}")]
    return parts


class _Mp3:
    """Writes mp3 at 32 kbit/s.

    Speech models show no difference, and 100 minutes fit into one request.
    """

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._target = av.open(self._out, "w", format="mp3")
        self._encoder: Any = self._target.add_stream("libmp3lame", rate=RATE, layout="mono")
        self._encoder.bit_rate = _BITS_PER_SECOND["mp3"]
        self._at = 0

    def write(self, pcm: Samples) -> None:
        if not pcm:
            return
        frame = av.AudioFrame(format="s16p", layout="mono", samples=len(pcm))
        frame.planes[0].update(pcm.tobytes() + bytes(frame.planes[0].buffer_size - 2 * len(pcm)))
        frame.sample_rate, frame.pts = RATE, self._at
        self._at += len(pcm)
        self._target.mux(self._encoder.encode(frame))

    def finish(self) -> bytes:
        self._target.mux(self._encoder.encode(None))
        self._target.close()
        return self._out.getvalue()


class _Wav:
    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._target = wave.Wave_write(self._out)
        self._target.setparams((1, 2, RATE, 0, "NONE", "not compressed"))

    def write(self, pcm: Samples) -> None:
        self._target.writeframes(pcm.tobytes())

    def finish(self) -> bytes:
        self._target.close()
        return self._out.getvalue()


Writers: dict[str, type[_Mp3] | type[_Wav]] = {"mp3": _Mp3, "wav": _Wav}
