import io
import math
import random
import struct
import wave
from array import array
from pathlib import Path

import av
import pytest

from connectors.media import sounds
from connectors.media.frames import PreparedAudio
from connectors.media.loudness import RATE, Loudness, cut
from connectors.media.unfit import NotFit

MEDIA = Path(__file__).parents[1] / "media"
FIELD = Path(__file__).parents[1] / "field"
VOICES = ["voice-es.amr", "voice-es.mp3", "voice-memo-en.m4a", "voice-note-es.ogg"]


def wav(pcm: "array[int]", rate: int = RATE, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setparams((channels, 2, rate, 0, "NONE", ""))
        sound.writeframes(pcm.tobytes())
    return out.getvalue()


def tone(seconds: float, dbfs: float = -10) -> "array[int]":
    loudest = 32_768 * math.sqrt(2) * 10 ** (dbfs / 20)
    wave = array("h", [round(loudest * math.sin(n * math.tau / 32)) for n in range(32)])
    return (wave * math.ceil(seconds * RATE / 32))[: round(seconds * RATE)]


def silence(seconds: float) -> "array[int]":
    return array("h", bytes(2 * round(seconds * RATE)))


def encoded(
    pcm: "array[int]", codec: str, container: str, rate: int = 48_000, **options: str
) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container, options=options) as target:
        stream = target.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size or 1024
        )
        with av.open(io.BytesIO(wav(pcm))) as source:
            for frame in [*source.decode(audio=0), None]:
                for resampled in resampler.resample(frame):
                    target.mux(stream.encode(resampled))
        target.mux(stream.encode(None))
    return out.getvalue()


def heard(
    data: bytes, audio_format: sounds.AudioFormat = "as-is", part_seconds: float | None = None
) -> PreparedAudio:
    prepared = sounds.prepare_audio(data, audio_format, part_seconds)
    for part in prepared.parts:
        assert part.filename.rpartition(".")[2] in ("ogg", "mp3", "wav", "flac", "m4a", "webm")
    return prepared


def refused(data: bytes, part_seconds: float | None = None) -> str:
    with pytest.raises(NotFit) as caught:
        sounds.prepare_audio(data, "as-is", part_seconds)
    return caught.value.reason


def samples(data: bytes) -> "array[int]":
    pcm: array[int] = array("h")
    demuxer = sounds.demuxer_of(data)
    assert demuxer is not None
    for piece in sounds._decoded(data, demuxer, sounds._Findings()):
        pcm.extend(piece)
    return pcm


def quieter(data: bytes, decibels: float) -> bytes:
    factor = 10 ** (-decibels / 20)
    return wav(array("h", [round(value * factor) for value in samples(data)]))


# --- silence


def test_the_field_voice_note_without_a_voice_is_silent() -> None:
    assert refused((FIELD / "silent-voice-note" / "silencio.ogg").read_bytes()) == "audio_silent"


def noise(loudest: int) -> "array[int]":
    numbers = random.Random(1)
    return array("h", [numbers.randint(-loudest, loudest) for _ in range(3 * RATE)])


@pytest.mark.parametrize(
    "pcm",
    [
        silence(3),
        noise(1),
        noise(8),
        tone(3, -70),
        array("h", [2_000] * 3 * RATE),
        array("h", [round(2_000 + 8 * math.sin(n / 50)) for n in range(3 * RATE)]),
        silence(1) + array("h", [20_000] * 50) + silence(2),
    ],
    ids=["zeros", "dither", "noise", "hum", "constant", "constant with hum", "click"],
)
def test_what_holds_no_sound_is_silent(pcm: "array[int]") -> None:
    assert refused(wav(pcm)) == "audio_silent"


@pytest.mark.parametrize(
    ("codec", "container"),
    [("libopus", "ogg"), ("aac", "mp4"), ("libmp3lame", "mp3"), ("flac", "flac")],
)
def test_silence_is_silent_in_every_codec(codec: str, container: str) -> None:
    assert refused(encoded(silence(3), codec, container)) == "audio_silent"


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("decibels", [0, 20, 30])
def test_a_voice_is_not_silent_however_quiet(voice: str, decibels: float) -> None:
    assert heard(quieter((MEDIA / voice).read_bytes(), decibels)).duration_seconds > 3


@pytest.mark.parametrize("dbfs", [-20, -40, -55])
def test_a_short_word_in_a_long_silence_is_heard(dbfs: float) -> None:
    assert heard(wav(silence(30) + tone(0.3, dbfs) + silence(30))).duration_seconds > 60


@pytest.mark.parametrize("audio_format", ["as-is", "wav"])
def test_two_channels_of_opposite_phase_are_heard(audio_format: sounds.AudioFormat) -> None:
    both = array("h", [value for one in tone(2) for value in (one, -one)])
    (part,) = heard(wav(both, channels=2), audio_format).parts
    assert max(samples(part.data)) > 5_000


# --- length


def test_the_field_sound_of_two_pieces_is_heard_whole() -> None:
    data = (FIELD / "chained-ogg-too-short" / "voice-3.3s.ogg").read_bytes()
    prepared = heard(data)
    assert prepared.duration_seconds == pytest.approx(3.3, abs=0.01)
    assert [part.mime for part in prepared.parts] == ["audio/mpeg"]
    assert len(samples(prepared.parts[0].data)) / RATE == pytest.approx(3.3, abs=0.1)


@pytest.mark.parametrize("lengths", [(0.3, 3.0), (3.0, 3.0), (1.0, 0.2, 0.2, 2.0)])
@pytest.mark.parametrize("codec", ["libopus", "flac"])
def test_pieces_of_ogg_one_after_the_other_are_one_sound(
    codec: str, lengths: tuple[float, ...]
) -> None:
    data = b"".join(encoded(tone(seconds), codec, "ogg") for seconds in lengths)
    prepared = heard(data)
    assert prepared.duration_seconds == pytest.approx(sum(lengths), abs=0.2)
    assert prepared.parts[0].mime == "audio/mpeg"


def with_frames(data: bytes, frames: int) -> bytes:
    """A WAV whose header names another number of bytes."""
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", frames) + data[at + 4 :]


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF, 2 * RATE * 60])
def test_the_length_a_wav_claims_is_not_believed(claimed: int) -> None:
    data = with_frames(wav(tone(2)), claimed)
    assert heard(data).duration_seconds == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("claimed", [0, 1, 0xFFFFFFFF, 0x7FFFFFFF])
def test_the_length_an_mp4_claims_is_not_believed(claimed: int) -> None:
    data = bytearray(encoded(tone(2), "aac", "mp4"))
    for box, offset in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        at = data.index(box) + offset
        data[at : at + 4] = struct.pack(">I", claimed)
    assert heard(bytes(data)).duration_seconds == pytest.approx(2, abs=0.2)


def test_an_mp3_without_a_header_of_its_length_is_measured() -> None:
    plain = {"write_xing": "0", "id3v2_version": "0"}
    data = encoded(silence(1), "libmp3lame", "mp3", **plain)
    data += encoded(tone(3), "libmp3lame", "mp3", **plain)
    assert heard(data).duration_seconds == pytest.approx(4, abs=0.3)


@pytest.mark.parametrize("seconds", [0.1, 0.45])
def test_a_sound_under_half_a_second_is_too_short(seconds: float) -> None:
    assert refused(wav(tone(seconds))) == "audio_too_short"


@pytest.mark.parametrize("part_seconds", [None, 1])
def test_a_sound_over_the_longest_is_too_long(
    part_seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds, "LONGEST_SECONDS", 3)
    assert refused(wav(tone(3.1)), part_seconds) == "audio_too_long"


def test_a_sound_that_lost_its_end_is_written_again_as_far_as_it_goes() -> None:
    data = encoded(tone(4), "flac", "flac")
    prepared = heard(data[: len(data) // 2] + b"\x00" * 100)
    assert 1 < prepared.duration_seconds < 4
    assert prepared.parts[0].mime == "audio/mpeg"


# --- formats


def test_a_sound_that_changes_its_rate_midway_is_one_sound() -> None:
    data = encoded(tone(1), "flac", "ogg", rate=16_000) + encoded(
        tone(1), "flac", "ogg", rate=48_000
    )
    assert heard(data).duration_seconds == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    ("codec", "container", "rate", "mime"),
    [
        ("libopus", "ogg", 48_000, "audio/ogg"),
        ("libmp3lame", "mp3", 16_000, "audio/mpeg"),
        ("pcm_s16le", "wav", 8_000, "audio/wav"),
        ("pcm_mulaw", "wav", 8_000, "audio/wav"),
        ("pcm_f32le", "wav", 8_000, "audio/wav"),
        ("flac", "flac", 16_000, "audio/flac"),
        ("aac", "mp4", 16_000, "audio/mp4"),
        ("aac", "mov", 16_000, "audio/mp4"),
        ("aac", "3gp", 16_000, "audio/mp4"),
        ("libopus", "webm", 48_000, "audio/webm"),
        ("aac", "adts", 16_000, None),
        ("mp2", "mp2", 16_000, None),
        ("alac", "caf", 16_000, None),
        ("pcm_s16be", "caf", 16_000, None),
        ("pcm_s16be", "aiff", 16_000, None),
        ("adpcm_ima_wav", "wav", 8_000, None),
    ],
)  # fmt: skip
def test_what_a_phone_writes_is_passed_or_written_as_mp3(
    codec: str, container: str, rate: int, mime: str | None
) -> None:
    data = encoded(tone(2), codec, container, rate=rate)
    (part,) = heard(data).parts
    assert (part.mime, part.data == data) == (mime or "audio/mpeg", mime is not None)
    assert part.duration_seconds == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(
    ("codec", "container"),
    [("ac3", "ac3"), ("tta", "tta"), ("pcm_s16le", "w64"), ("aac", "mpegts"), ("pcm_s16be", "au"), ("aac", "flv")],
)  # fmt: skip
def test_a_container_that_no_chat_holds_is_not_opened(codec: str, container: str) -> None:
    assert refused(encoded(tone(1), codec, container)) == "audio_undecodable"


@pytest.mark.parametrize(
    ("codec", "container"),
    [("ac3", "mp4"), ("tta", "matroska"), ("adpcm_g722", "wav")],
)
def test_a_codec_that_no_chat_holds_is_not_opened(codec: str, container: str) -> None:
    rate = 16_000 if codec == "adpcm_g722" else 48_000
    with pytest.raises(NotFit, match="audio_undecodable") as caught:
        sounds.prepare_audio(encoded(tone(1), codec, container, rate=rate), "as-is", None)
    assert caught.value.detail.startswith("codec ")


@pytest.mark.parametrize("behind_a_tag", ["mp3", "aac", "flac"])
def test_an_id3_tag_hides_no_sound(behind_a_tag: str) -> None:
    codec, container = {
        "mp3": ("libmp3lame", "mp3"),
        "aac": ("aac", "adts"),
        "flac": ("flac", "flac"),
    }[behind_a_tag]
    options = {"id3v2_version": "0"} if container == "mp3" else {}
    data = (
        b"ID3\x04\x00\x00\x00\x00\x01\x00"
        + bytes(128)
        + encoded(tone(2), codec, container, **options)
    )
    assert sounds.demuxer_of(data) == behind_a_tag
    assert heard(data).duration_seconds == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(
    "path", sorted((FIELD / "utf16-text-is-no-sound").glob("*.*")), ids=lambda p: p.name
)
def test_text_is_not_sound(path: Path) -> None:
    assert path.name == "README.md" or refused(path.read_bytes()) == "audio_undecodable"


TEXT = "Estimado cliente, su factura está lista; 你好\n" * 3_000


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode("utf-16"),
        *[head + TEXT.encode() for head in (b"\xff\xfb\x90\x00", b"\xff\xf1\x50\x80", b"ID3")],
        *[
            head + random.Random(3).randbytes(200_000)
            for head in (b"\xff\xfb\x90\x00", b"\xff\xf1\x50\x80", b"OggS", b"fLaC", b"caff")
        ],
        b"RIFF\xff\xff\xff\xffWAVE" + random.Random(3).randbytes(200_000),
        b"#!AMR\n" + b"\xff" * 300,
    ],
    ids=range(11),
)
def test_bytes_that_only_begin_like_sound_are_undecodable(data: bytes) -> None:
    assert refused(data) == "audio_undecodable"


def test_a_cover_is_not_looked_at() -> None:
    cover = (MEDIA / "cat.jpg").read_bytes()
    frame = b"\x00image/jpeg\x00\x03\x00" + cover
    size = len(frame)
    picture = b"APIC" + struct.pack(">I", size) + b"\x00\x00" + frame
    tag = len(picture)
    head = b"ID3\x03\x00\x00" + bytes((tag >> shift) & 0x7F for shift in (21, 14, 7, 0))
    data = head + picture + encoded(tone(2), "libmp3lame", "mp3", id3v2_version="0")
    assert heard(data, "wav").duration_seconds == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(("audio_format", "mime"), [("mp3", "audio/mpeg"), ("wav", "audio/wav")])
@pytest.mark.parametrize("voice", VOICES)
def test_every_voice_note_can_be_had_in_the_format_the_server_takes(
    voice: str, audio_format: sounds.AudioFormat, mime: str
) -> None:
    prepared = heard((MEDIA / voice).read_bytes(), audio_format)
    assert [part.mime for part in prepared.parts] == [mime]
    again = len(samples(prepared.parts[0].data)) / RATE
    assert again == pytest.approx(prepared.duration_seconds, abs=0.2)


# --- parts


@pytest.mark.parametrize("audio_format", ["as-is", "mp3", "wav"])
def test_a_long_sound_comes_in_parts_that_are_the_whole(audio_format: sounds.AudioFormat) -> None:
    prepared = heard(wav(tone(25)), audio_format, 10)
    assert all(part.duration_seconds <= 10 for part in prepared.parts)
    assert sum(part.duration_seconds for part in prepared.parts) == pytest.approx(25, abs=0.01)
    assert prepared.duration_seconds == 25
    assert len({part.filename for part in prepared.parts}) == len(prepared.parts)


def test_a_sound_within_the_limit_is_one_part_as_it_is() -> None:
    data = wav(tone(9))
    assert [part.data for part in heard(data, "as-is", 10).parts] == [data]


def test_a_sound_is_cut_where_it_is_quiet() -> None:
    spoken = tone(8.5) + silence(0.5) + tone(9) + silence(0.5) + tone(3)
    lengths = [part.duration_seconds for part in heard(wav(spoken), "wav", 10).parts]
    assert lengths == [
        pytest.approx(8.75, abs=0.2),
        pytest.approx(9.5, abs=0.2),
        pytest.approx(3.25, abs=0.2),
    ]


def test_parts_in_which_nothing_is_heard_are_left_out() -> None:
    prepared = heard(wav(tone(5) + silence(30) + tone(3)), "mp3", 10)
    assert len(prepared.parts) == 2
    assert prepared.duration_seconds == 38


@pytest.mark.parametrize("seconds", [10.01, 10.3, 20.02])
def test_no_part_is_too_short_for_a_model(seconds: float) -> None:
    parts = heard(wav(tone(seconds)), "wav", 10).parts
    assert all(len(samples(part.data)) >= RATE // 2 for part in parts)


def test_cutting_loses_no_sample() -> None:
    pcm = noise(1_000)
    pieces = [pcm[at : at + 777] for at in range(0, len(pcm), 777)]
    together: array[int] = array("h")
    for piece, _ in cut(pieces, 1):
        together.extend(piece)
    assert together[: len(pcm)] == pcm  # what follows is silence, for the shortest part


def test_a_whole_sound_in_one_part_that_is_too_large_is_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sounds, "AUDIO_BYTES", 10_000)
    assert refused(wav(tone(5))) == "audio_too_long"


def test_loudness_is_the_same_however_the_samples_come() -> None:
    pcm = silence(0.51) + tone(0.2, -50) + silence(0.3)
    found = []
    for step in (7, 800, 1_000, len(pcm)):
        loudness = Loudness()
        for at in range(0, len(pcm), step):
            loudness.add(pcm[at : at + step])
        found.append(loudness.silent)
    assert found == [False] * 4


@pytest.mark.parametrize("head", [b"", b"\0" * 10, b"\0" * 500], ids=["none", "ten", "500"])
@pytest.mark.parametrize("begin", [0, 1_234])
def test_frames_behind_junk_or_from_the_middle_of_a_recording_are_heard(
    head: bytes, begin: int
) -> None:
    recording = (MEDIA / "voice-es.mp3").read_bytes()
    assert sounds.prepare_audio(head + recording[begin:], "as-is", None).duration_seconds > 4


def test_words_are_not_frames() -> None:
    assert (
        sounds.demuxer_of("No es sonido, son palabras: ÿ, û, ñ. ".encode("latin-1") * 200) is None
    )
