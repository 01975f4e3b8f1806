"""WAV files whose header has a wrong size of the samples."""

import struct

import pytest

from connectors.media.waves import with_true_size
from tests.unit.test_media_sounds import heard, tone, wav


def with_size(data: bytes, size: int) -> bytes:
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


@pytest.mark.parametrize(
    "size", [0, 1, 64_000, 64_001, 100_000, 128_002, 0x7FFF_FFFF, 0xFFFF_FFF0, 0xFFFF_FFFF]
)
def test_a_wav_is_heard_to_its_end_whatever_size_its_header_gives(size: int) -> None:
    prepared = heard(with_size(wav(tone(4)), size))
    assert prepared.duration_seconds == pytest.approx(4, abs=0.01)
    assert sum(part.duration_seconds for part in prepared.parts) == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize(
    "tail", [b"", b"LIST" + struct.pack("<I", 50_000) + bytes(50_000), b"rubbish" * 99]
)
def test_what_follows_the_samples_of_a_wav_is_not_heard(tail: bytes) -> None:
    data = wav(tone(1)) + tail
    assert with_true_size(data) == data


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"RIFF\x00\x00\x00\x00WAVE", b"RIFF" + b"\xff" * 40]
)
def test_a_wav_without_samples_stays_as_it_is(data: bytes) -> None:
    assert with_true_size(data) == data
