"""Finds the settings that people give to a local installation, and remembers them.

There are three places, and the first one that has a setting decides:

1. the environment of `sensorium up`,
2. the file `.env` in the folder where `up` is run (or the file given with
   `--settings`), written by a person,
3. `settings.env` in the home, where `up` keeps what its environment had.

A second `up` from a new shell therefore changes nothing. An empty value resets a
setting.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from streams.local.home import Home, write_text
from streams.local.parts import Say
from streams.settings import PREFIX, SettingsError, known_settings

_HEADER = "# Kept by `sensorium up` from its environment. Edit or remove lines as you like.\n"


@dataclass(frozen=True, slots=True)
class UserSettings:
    """The settings that people gave.

    `values` are by full name. `to_keep` is what `settings.env` will contain. `sources`
    are the places that have settings, each with their number.
    """

    values: Mapping[str, str]
    to_keep: Mapping[str, str]
    sources: tuple[str, ...]


def user_settings(home: Home, environment: Mapping[str, str], file: Path | None) -> UserSettings:
    """Reads the three places. `file` is the person's own file, if there is one.

    Raises SettingsError if a file cannot be read. `read_settings` checks the settings themselves.
    """
    from_file = _read(file) if file is not None else {}
    before = _read(home.settings_file) if home.settings_file.exists() else {}
    from_environment = {name: value for name, value in environment.items() if _is_setting(name)}
    new = {name: value for name, value in from_environment.items() if from_file.get(name) != value}
    to_keep = {name: value for name, value in (before | new).items() if value}
    merged = to_keep | from_file | from_environment
    values = {name: value for name, value in merged.items() if value}
    shown = {
        str(file): from_file,
        str(home.settings_file): before,
        "the environment": from_environment,
    }
    sources = tuple(f"{place} ({len(found)} set)" for place, found in shown.items() if found)
    return UserSettings(values, to_keep, sources)


def keep_settings(home: Home, settings: UserSettings) -> None:
    """Writes the settings that the next `up` must know.

    It is called after everything runs with them.
    """
    lines = (f"{name}='{_escaped(value)}'\n" for name, value in sorted(settings.to_keep.items()))
    write_text(home.settings_file, _HEADER + "".join(lines))


def say_sources(settings: UserSettings, say: Say) -> None:
    sources = ", ".join(settings.sources) or "none; put them into .env, as .env.example shows"
    say(f"settings: {sources}")


def _read(file: Path) -> dict[str, str]:
    """Returns the settings of a file that differ from the defaults.

    An unchanged copy of .env.example has none.
    """
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
