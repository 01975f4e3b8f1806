"""`.env.example` lists every setting with its default, and nothing else."""

from pathlib import Path

from streams.settings import known_settings, read_settings

ROOT = Path(__file__).parents[2]


def listed() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_it_lists_every_setting_with_its_default() -> None:
    assert listed() == {name: str(default) for name, default in known_settings().items()}


def test_it_can_be_read_as_it_is() -> None:
    assert read_settings(listed()) == read_settings({})
