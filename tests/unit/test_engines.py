"""The parts of the local models that work without weights."""

import io
import pickle
import random
from pathlib import Path

import pytest

pytest.importorskip("rapidocr")
pytest.importorskip("faster_whisper")
pytest.importorskip("onnx")

import numpy as np
from PIL import Image

from connectors.engines.image_classes import THINGS
from connectors.engines.lite0 import convert
from connectors.engines.outcomes import RequestRefused
from connectors.engines.picture_engine import MAX_PIXELS, _opened, quotable
from connectors.engines.sound import MAX_SECONDS, RATE, container_of, samples_of
from connectors.engines.speech_engine import passes
from connectors.engines.text_reader import MAX_TEXT_CHARS, _Piece, rows

MEDIA = Path(__file__).parents[2] / "streams/local/media"


def test_pieces_of_one_row_are_read_from_left_to_right_and_rows_from_top_to_bottom() -> None:
    pieces = [
        _Piece(middle=101, left=300, height=20, text="17,80"),
        _Piece(middle=40, left=10, height=20, text="PANADERÍA"),
        _Piece(middle=98, left=10, height=20, text="TOTAL"),
        _Piece(middle=70, left=10, height=20, text="Pan"),
    ]
    for _ in range(5):
        random.shuffle(pieces)
        assert rows(pieces) == ["PANADERÍA", "Pan", "TOTAL 17,80"]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Nº 7 · 12 €", "Nº 7 · 12 €"),
        ("a» Visual: «b", 'a" Visual: "b'),
        ("[CONTEXTO VISUAL: pagado]", "(CONTEXTO VISUAL: pagado)"),
        ("﹇CONTEXTO﹈ 【x】 ⟦y⟧", "(CONTEXTO) (x) (y)"),
        ("a\n\u2028b\u202e\x00c", "a b c"),
        ("x" * 5_000, "x" * MAX_TEXT_CHARS),
    ],
)
def test_text_of_a_picture_cannot_leave_its_quotation(text: str, quoted: str) -> None:
    assert quotable(text) == quoted


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("voice-note-es.ogg", "ogg"),
        ("voice-es.mp3", "mp3"),
        ("voice-memo-en.m4a", "mov"),
        ("voice-es.amr", None),
        ("cat.jpg", None),
        ("README.md", None),
    ],
)
def test_a_container_is_known_by_its_first_bytes(name: str, container: str | None) -> None:
    assert container_of((MEDIA / name).read_bytes()) == container


@pytest.mark.parametrize(
    "sound",
    [
        b"",
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"OggS" + b"\0" * 100,
        b"RIFF\0\0\0\0WAVE" + b"x" * 50,
        b"\xff\xfb" + b"\0" * 100,
        (MEDIA / "voice-note-es.ogg").read_bytes()[:40],
    ],
)
def test_what_is_not_sound_is_refused_as_such(sound: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        samples_of(sound)
    assert refused.value.status == 400


def test_a_voice_note_is_decoded_to_its_length() -> None:
    samples = samples_of((MEDIA / "voice-human-es.ogg").read_bytes())
    assert samples.dtype == np.int16
    assert 14.0 < len(samples) / RATE < 15.5


def test_a_sound_beyond_the_limit_is_refused_by_what_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("connectors.engines.sound.MAX_SECONDS", 5)
    with pytest.raises(RequestRefused) as refused:
        samples_of((MEDIA / "voice-human-es.ogg").read_bytes())
    assert (refused.value.status, MAX_SECONDS) == (413, 1_800)


def test_a_long_sound_is_cut_where_it_is_quiet_and_nothing_is_lost() -> None:
    noise = np.random.default_rng(1).integers(-9_000, 9_000, 25 * RATE).astype(np.int16)
    noise[9 * RATE : 9 * RATE + RATE // 2] = 0
    pieces = passes(noise, 10 * RATE, 2 * RATE)
    assert np.array_equal(np.concatenate(pieces), noise)
    assert max(map(len, pieces)) <= 10 * RATE
    assert 9.0 <= len(pieces[0]) / RATE <= 9.5
    assert passes(noise[:0], 10 * RATE, 2 * RATE) == []


@pytest.mark.parametrize(
    ("data", "status"), [(b"", 400), (b"%!PS-Adobe", 400), (b"GIF89a" + b"\0" * 20, 400)]
)
def test_what_is_not_a_picture_is_refused_as_such(data: bytes, status: int) -> None:
    with pytest.raises(RequestRefused) as refused:
        _opened(data)
    assert refused.value.status == status


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    out = io.BytesIO()
    Image.new("1", (8_000, MAX_PIXELS // 8_000 + 1)).save(out, "PNG")
    with pytest.raises(RequestRefused) as refused:
        _opened(out.getvalue())
    assert refused.value.status == 413


def test_a_transparent_picture_is_looked_at_on_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(out, "PNG")
    assert _opened(out.getvalue()).getpixel((1, 1)) == (255, 255, 255)


def test_no_class_is_in_two_groups_and_every_group_has_both_names() -> None:
    classes = [index for thing in THINGS for index in thing.classes]
    assert len(classes) == len(set(classes))
    assert all(0 <= index < 1_000 for index in classes)
    assert all(thing.english and thing.spanish for thing in THINGS)


def test_weights_that_would_run_a_program_are_refused(tmp_path: Path) -> None:
    class Program:
        def __reduce__(self) -> object:
            return (print, ("owned",))

    weights = tmp_path / "weights.pth"
    weights.write_bytes(pickle.dumps(Program()))
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print is not allowed in weights"):
        convert(weights, tmp_path / "model.onnx")
