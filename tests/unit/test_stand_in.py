from pathlib import Path

import pytest
from fastapi import HTTPException

from streams.roles.stand_in import listen_to, look_at

MEDIA = Path(__file__).parents[1] / "media"


def test_a_list_of_other_files_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sound.mp3").write_bytes((MEDIA / "voice-es.mp3").read_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HTTPException, match="cannot be read"):
        listen_to(b"ffconcat version 1.0\n#\xff\xfe\nfile sound.mp3\n")


def test_a_format_that_no_chat_sends_is_not_looked_at() -> None:
    with pytest.raises(HTTPException, match="cannot be read"):
        look_at(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("voice-note-es.ogg", "A sound of 10.4 seconds"),
        ("voice-es.mp3", "A sound of 5.0 seconds"),
        ("voice-memo-en.m4a", "A sound of 6.8 seconds"),
    ],
)
def test_a_sound_is_measured(name: str, said: str) -> None:
    assert said in listen_to((MEDIA / name).read_bytes())


@pytest.mark.parametrize("name", ["cat.jpg", "rocket.webp", "astronaut.heic"])
def test_a_picture_is_measured(name: str) -> None:
    assert "picture of" in look_at((MEDIA / name).read_bytes())
