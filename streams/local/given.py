"""The settings that people give to a local installation, and where they are kept.

Three places, the first one that names a setting decides:

1. the environment of `sensorium up`,
2. the file `.env` in the folder where `up` is run (or the
   file given with `--settings`), written by a person,
3. `settings.env` in the home, where `up` keeps what it was given in its environment.

So a second `up` from a fresh shell changes
nothing. An empty value takes a setting back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from streams.local.home import Home, write_text
from streams.local.parts import Say
from streams.settings import PREFIX, SettingsError, known_settings

_HEADER = "# Kept by `sensorium up`: what its environment gave. Edit or remove lines as you like.\n"


@dataclass(frozen=True, slots=True)
class Given:
    """`values` by full name; `kept` is what belongs into `settings.env`; `sources` says where they
    came from.
    """

    values: Mapping[str, str]
    kept: Mapping[str, str]
    sources: tuple[str, ...]


def given_settings(home: Home, environment: Mapping[str, str], file: Path | None) -> Given:
    """Reads the three places. `file` is the person's own file, if there is one.

    Raises SettingsError for a file that cannot be read. Whether
    the settings are valid is for `read_settings` to say.
    """
    by_hand = _read(file) if file is not None else {}
    before = _read(home.settings_file) if home.settings_file.exists() else {}
    typed = {name: value for name, value in environment.items() if _is_setting(name)}
    new = {name: value for name, value in typed.items() if by_hand.get(name) != value}
    kept = {name: value for name, value in (before | new).items() if value}
    values = {name: value for name, value in (kept | by_hand | typed).items() if value}
    shown = {str(file): by_hand, str(home.settings_file): before, "the environment": typed}
    sources = tuple(f"{place} ({len(found)} set)" for place, found in shown.items() if found)
    return Given(values, kept, sources)


def keep_settings(home: Home, given: Given) -> None:
    """Writes what the next `up` is to know again.

    Called once everything runs with it.
    """
    lines = (f"{name}='{_escaped(value)}'\n" for name, value in sorted(given.kept.items()))
    write_text(home.settings_file, _HEADER + "".join(lines))


def say_sources(given: Given, say: Say) -> None:
    read = ", ".join(given.sources) or "none given; put them into .env, as .env.example shows"
    say(f"settings: {read}")


def _read(file: Path) -> dict[str, str]:
    """The settings of a file that differ from the defaults: a copy of .env.example gives nothing."""
    try:
        lines = dotenv_values(file, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from None
    defaults = {name: _text(value) for name, value in known_settings().items()}
    return {
        name: value
        for name, value in lines.items()
        if value is not None and _is_setting(name) and defaults.get(name) != value
    }


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _text(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _is_setting(name: str) -> bool:
    return (name.startswith(PREFIX) and "__" in name) or name == f"{PREFIX}NAMESPACE"
