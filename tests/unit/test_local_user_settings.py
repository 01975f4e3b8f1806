"""The settings that people give to `up` in three places, and those that a second `up` still knows."""

from pathlib import Path

import pytest

from schemas.settings import Settings
from streams.local.home import Home, home_at
from streams.local.user_settings import keep_settings, say_sources, user_settings
from streams.settings import SettingsError, to_environment

MODEL, PORT = "SENSORIUM_OPENAI__BASE_URL", "SENSORIUM_RECEIVER__PORT"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = home_at(tmp_path / "var")
    home.make()
    return home


def up(home: Home, environment: dict[str, str], file: Path | None = None) -> dict[str, str]:
    given = user_settings(home, environment, file)
    keep_settings(home, given)
    return dict(given.values)


def test_a_second_up_from_a_fresh_shell_changes_nothing(home: Home) -> None:
    first = up(home, {MODEL: "http://models/v1", PORT: "28080", "PATH": "/bin"})
    assert first == {MODEL: "http://models/v1", PORT: "28080"}
    assert up(home, {"PATH": "/bin"}) == first
    assert oct(home.settings_file.stat().st_mode & 0o777) == "0o600"


def test_the_environment_decides_then_the_persons_file_then_what_was_kept(
    home: Home, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    up(home, {PORT: "1001", MODEL: "http://kept"})
    file.write_text(f"{PORT}=1002\n")
    assert up(home, {}, file) == {PORT: "1002", MODEL: "http://kept"}
    assert up(home, {PORT: "1003"}, file) == {PORT: "1003", MODEL: "http://kept"}


def test_an_empty_value_takes_a_setting_back(home: Home) -> None:
    up(home, {MODEL: "http://kept"})
    assert up(home, {MODEL: ""}) == {}
    assert up(home, {}) == {}


@pytest.mark.parametrize(
    "value", ["it's", 'a "b"', "a\\b", "#x", "a b", "a=b", "ñ", "$HOME", "${X}"]
)
def test_any_value_is_kept_as_it_was_given(home: Home, value: str) -> None:
    up(home, {MODEL: value})
    assert up(home, {}) == {MODEL: value}


def test_a_file_is_read_as_people_write_it(home: Home, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        f"# a comment\nexport {PORT}=1002\n{MODEL} = 'http://a b' # why\n"
        "OTHER=1\nPOSTGRES_PASSWORD=p\n\n"
    )
    assert up(home, {}, file) == {PORT: "1002", MODEL: "http://a b"}


def test_a_copy_of_the_example_gives_nothing(home: Home, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("".join(f"{n}={v}\n" for n, v in to_environment(Settings()).items()))
    assert up(home, {}, file) == {}


def test_a_wrong_name_is_passed_on_so_that_it_is_refused(home: Home, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SENSORIUM_KAFKA__PARTITONS=4\n")
    assert up(home, {}, file) == {"SENSORIUM_KAFKA__PARTITONS": "4"}


def test_a_file_that_is_not_text_is_an_error_that_names_it(home: Home, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        user_settings(home, {}, file)


def test_it_says_where_the_settings_came_from(home: Home, tmp_path: Path) -> None:
    lines: list[str] = []
    say_sources(user_settings(home, {}, None), lines.append)
    up(home, {PORT: "1001"})
    file = tmp_path / ".env"
    file.write_text(f"{MODEL}=http://a\n")
    say_sources(user_settings(home, {}, file), lines.append)
    assert lines == [
        "settings: none; put them into .env, as .env.example shows",
        f"settings: {file} (1 set), {home.settings_file} (1 set)",
    ]
