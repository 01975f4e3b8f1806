"""The messages of commands that are called wrongly, or whose servers are unavailable."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet

from connectors.media import workers
from schemas.languages import is_language
from schemas.settings import Kafka, Objects, Openai, Postgres, Secret, SecretSettings, Settings
from schemas.tenants import TenantSettings
from streams.commands.main import COMMANDS, main
from streams.local.ports import free_port
from streams.settings import to_environment
from tests.integration.commands import Commands

PORT = free_port(set())
NOWHERE = Settings(
    kafka=Kafka(bootstrap_servers=f"127.0.0.1:{PORT}"),
    postgres=Postgres(dsn=Secret(f"postgresql://x@127.0.0.1:{PORT}/x")),
    objects=Objects(endpoint=f"http://127.0.0.1:{PORT}", access_key="x", secret_key=Secret("x")),
    openai=Openai(base_url=f"http://127.0.0.1:{PORT}/v1", api_key=Secret("x")),
    secrets=SecretSettings(key=Secret(Fernet.generate_key().decode())),
)


NOBODY_ANSWERS_SECONDS = 0.2
"""Kafka's client waits for its whole time-out, although the connection is refused at once."""


@pytest.fixture(autouse=True)
def quickly_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("environment.KAFKA_SECONDS", "tail.KAFKA_SECONDS", "doctor._SECONDS"):
        monkeypatch.setattr(f"streams.commands.{place}", NOBODY_ANSWERS_SECONDS)


@pytest.fixture
def away() -> Commands:
    """Settings with addresses at which no server answers."""
    return Commands(NOWHERE, {})


def test_every_command_can_be_loaded_and_says_what_it_is_for() -> None:
    commands = {name: main.get_command(None, name) for name in COMMANDS}  # type: ignore[arg-type]
    assert [name for name, command in commands.items() if command is None or not command.help] == []


# --- called wrongly


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("nothing", "No such command 'nothing'"),
        ("tenants add", "Missing argument 'NAME'"),
        ("tenants set acme", "Missing argument"),
        (
            "tenants set acme color=red",
            "'color=red': give NAME=VALUE with one of language, trade, vision-prompt, ",
        ),
        ("tenants set acme rate", "'rate': give NAME=VALUE"),
        ("tenants set acme rate=fast", "rate=fast: Expected"),
        ("tenants set acme rate=-1", "rate=-1: Expected"),
        ("tenants set acme rate=nan", "rate=nan: Expected"),
        ("tenants set acme rate=inf", "rate=inf: Expected"),
        ("tenants set acme max-bytes=0", "max-bytes=0: Expected"),
        ("tenants set acme describe-old=perhaps", "describe-old=perhaps: Expected yes or no"),
        (
            "tenants set acme language=klingon",
            "'klingon' is not a language: give a code such as es",
        ),
        ("tenants set acme language=xx", "'xx' is not a language"),
        ("tenants set acme context-text=x", "context-text must contain {description}"),
        ("endpoints add acme telegram", "'telegram' is not one of 'ycloud', 'chatwoot'"),
        ("endpoints add acme ycloud --secret s --unsigned", "exclude each other"),
        ("endpoints add acme ycloud --secret=", "--secret and --api-key must not be empty"),
        ("keys add acme", "Missing option '--scope'"),
        ("keys add acme --scope write", "'write' is not one of 'chat', 'read', 'admin'"),
        ("send telegram --tenant acme --text x", "'telegram' is not one of 'ycloud', 'chatwoot'"),
        ("send ycloud --text x", "Missing option '--tenant'"),
        ("send ycloud --tenant acme", "nothing to send: give --text, --image or --audio"),
        (
            "send ycloud --tenant acme --image tests/media/cat.jpg --audio tests/media/cat.jpg",
            "either --image or --audio",
        ),
        ("send ycloud --tenant acme --image nowhere.jpg", "does not exist"),
        ("send ycloud --tenant acme --text x --times 0", "0 is not in the range"),
        ("tail --count 0", "0 is not in the range"),
        ("trace wamid.1", "'wamid.1' is not a message key: tenant:provider:provider_message_id"),
        ("trace ACME:ycloud:1", "is not a message key"),
        ("quarantine show raw-messages", "is not a position: TOPIC[PARTITION]@OFFSET"),
        ("quarantine show raw-messages[²]@1", "is not a position"),
        ("quarantine replay", "choose records: a PLACE, --tenant, --stage, --reason, or --all"),
        ("quarantine list --state old", "'old' is not one of"),
        ("replay raw", "choose records: --offsets, or --since (and --until)"),
        ("replay raw --offsets 0:1-2 --since 2026-01-01", "choose records"),
        ("replay raw --offsets 0:1-2 --until 2026-01-01", "choose records"),
        ("replay raw --until 2026-01-01", "choose records"),
        ("replay raw --offsets 1-2", "'1-2' is not a span: write PARTITION:FIRST-LAST"),
        ("replay raw --offsets 0:2-1", "'0:2-1' is not a span"),
        ("replay raw --offsets 0:²-9", "is not a span"),
        ("replay raw --offsets 99:1-2", "'99:1-2': there are partitions 0 to 11"),
        (
            "replay raw --since yesterday",
            "'yesterday' is not a time: write it as 2026-01-31T12:00:00Z",
        ),
        ("replay attachments", "Missing option '--reason'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_with_it(away: Commands, words: str, says: str) -> None:
    for as_json in ([], ["--json"]):
        result = away.run(*words.split(), *as_json)
        assert result.exit_code == 2
        assert says in result.stderr
        document = msgspec.json.decode(result.stdout) if result.stdout else None
        assert (document is not None) == bool(as_json)
        if document is not None:
            assert says in document["error"] and result.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (
            "SENSORIUM_KAFKA__BOOTSTRAP",
            "x",
            "SENSORIUM_KAFKA__BOOTSTRAP is not a setting; did you mean SENSORIUM_KAFKA__BOOTSTRAP_SERVERS",
        ),
        ("SENSORIUM_KAFKA__PARTITIONS", "many", "SENSORIUM_KAFKA__PARTITIONS"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, says: str) -> None:
    result = Commands(NOWHERE, {name: value}).run("tenants", "list", "--json")
    assert (result.exit_code, says in result.stderr, says in result.stdout) == (2, True, True)


def test_a_missing_secrets_key_says_how_to_make_one(away: Commands) -> None:
    commands = Commands(msgspec.structs.replace(NOWHERE, secrets=SecretSettings()), {})
    finding = next(
        part for part in commands.json("doctor", exit_code=1)["parts"] if part["part"] == "secrets"
    )
    assert "Fernet.generate_key()" in finding["says"]


# --- what it needs is away

NEED_POSTGRES = [
    "migrate",
    "tenants add acme",
    "tenants set acme rate=1",
    "tenants list",
    "endpoints add acme ycloud",
    "endpoints rotate token",
    "endpoints list",
    "keys add acme --scope read",
    "trace acme:ycloud:1",
    "quarantine list",
    "quarantine show raw-messages[0]@1",
    "quarantine replay --all",
    "replay attachments --reason model_unavailable",
]


@pytest.mark.parametrize("words", NEED_POSTGRES)
def test_without_postgres_a_command_says_so_in_one_line(away: Commands, words: str) -> None:
    message = away.fails(*words.split())
    assert message.startswith("Postgres ") and "SENSORIUM_POSTGRES__DSN" in message


@pytest.mark.parametrize(
    "words",
    [
        "topics apply",
        "tail",
        "replay raw --since 2026-01-01T00:00:00Z",
        "replay raw --offsets 0:0-1",
    ],
)
def test_without_kafka_a_command_says_so_in_one_line(away: Commands, words: str) -> None:
    message = away.fails(*words.split())
    assert (
        message.startswith(f"Kafka does not answer at 127.0.0.1:{PORT}")
        and "SENSORIUM_KAFKA__BOOTSTRAP_SERVERS" in message
    )


def test_send_says_where_the_receiver_should_be(away: Commands, tmp_path: Path) -> None:
    assert "SENSORIUM_RECEIVER__URL must be the receiver's URL" in away.fails(
        "send", "ycloud", "--tenant", "acme", "--text", "x"
    )
    words = (
        "send",
        "ycloud",
        "--tenant",
        "acme",
        "--image",
        "tests/media/cat.jpg",
        "--home",
        str(tmp_path),
    )
    assert "run it first, or give --home" in away.fails(*words)


def test_doctor_says_of_every_part_what_is_wrong_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = {
        f"SENSORIUM_{name}__URL": f"http://127.0.0.1:{PORT}" for name in ("RECEIVER", "CONSOLE")
    }
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    urls["SENSORIUM_HOME"] = str(tmp_path)
    document = Commands(NOWHERE, urls).json("doctor", exit_code=1)
    assert document["ok"] is False
    remedies = {
        "kafka": "SENSORIUM_KAFKA__BOOTSTRAP_SERVERS",
        "postgres": "SENSORIUM_POSTGRES__DSN",
        "objects": "SENSORIUM_OBJECTS__ENDPOINT",
        "secrets": "SENSORIUM_POSTGRES__DSN",
        "model": "SENSORIUM_OPENAI__BASE_URL",
        "decoder": "docs/security.md",
        "receiver": "sensorium status",
        "console": "sensorium status",
    }
    assert {part["part"]: part["ok"] for part in document["parts"]} == dict.fromkeys(
        remedies, False
    )
    for part in document["parts"]:
        assert remedies[part["part"]] in part["says"], part
        assert not re.search(r"\n|Error:", part["says"])


def test_doctor_says_what_is_held_off_from_hostile_files() -> None:
    (found,) = (
        part
        for part in Commands(NOWHERE, {}).json("doctor", exit_code=1)["parts"]
        if part["part"] == "decoder"
    )
    assert found["ok"] == ("decodes without access to files, network" in found["says"])
    assert found["ok"] or "docs/security.md" in found["says"]


def test_a_database_address_that_is_none_is_said() -> None:
    commands = Commands(
        msgspec.structs.replace(NOWHERE, postgres=Postgres(dsn=Secret("nonsense"))), {}
    )
    assert "SENSORIUM_POSTGRES__DSN" in commands.fails("tenants", "list")


def installed(folder: Path) -> Path:
    """A home as `up` leaves it, of an installation whose servers do not answer."""
    folder.mkdir()
    (folder / "sensorium.env").write_text(
        "".join(f"{name}={value}\n" for name, value in to_environment(NOWHERE).items())
    )
    return folder


@pytest.mark.parametrize("how", ["variable", "option"])
def test_commands_find_their_installation_from_any_directory(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = installed(tmp_path / "var")
    monkeypatch.chdir("/")
    monkeypatch.delenv("SENSORIUM_POSTGRES__DSN", raising=False)
    words = ["tenants", "list"] if how == "variable" else ["--home", str(home), "tenants", "list"]
    more = {"SENSORIUM_HOME": str(home)} if how == "variable" else {}
    result = CliRunner().invoke(main, words, env=more)
    assert result.exit_code == 1 and f"'127.0.0.1', {PORT}" in result.stderr
    assert "No settings were found" not in result.stderr


def test_a_command_without_settings_says_how_to_name_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENSORIUM_POSTGRES__DSN", raising=False)
    stderr = CliRunner().invoke(main, ["tenants", "list"], env={}).stderr
    assert "there is no var/sensorium.env here" in stderr and "SENSORIUM_HOME" in stderr


def test_a_home_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENSORIUM_POSTGRES__DSN", raising=False)
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "tenants", "list"])
    assert result.exit_code == 2 and "is not there" in result.stderr


def test_status_of_a_place_where_nothing_was_started(away: Commands, tmp_path: Path) -> None:
    assert away.json("status", "--home", str(tmp_path), exit_code=1) == {
        "processes": [],
        "models": [],
    }
    assert "run `sensorium up`" in away.run("status", "--home", str(tmp_path)).stderr


def test_demo_of_a_place_where_nothing_was_started(away: Commands, tmp_path: Path) -> None:
    assert "run `sensorium up` first" in away.fails("demo", "--home", str(tmp_path))


def test_the_help_of_tenants_set_names_every_setting() -> None:
    text = CliRunner().invoke(main, ["tenants", "set", "--help"]).stdout
    words = " ".join(text.split())
    for field in TenantSettings.__struct_fields__:
        assert field.replace("_", "-") in words


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("es", True),
        ("es-MX", True),
        ("pt_BR", True),
        ("zh-Hant-TW", True),
        ("gsw", True),
        ("Spanish", True),
        ("klingon", False),
        ("xx", False),
        ("e", False),
        ("es-", False),
        ("", False),
    ],
)
def test_a_language_is_a_code_or_a_name_that_recipes_know(text: str, is_one: bool) -> None:
    assert is_language(text) == is_one


@pytest.mark.parametrize("module", ["click", "streams.commands.overview"])
def test_ctrl_c_while_the_program_is_being_read_ends_it_with_one_line(
    module: str,
) -> None:
    program = (
        "import os, signal, sys\n"
        # a shell starts what runs in its background with Ctrl-C ignored, this test perhaps too
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from streams.commands.entry import run\n"
        "sys.argv = ['sensorium', 'log']\n"
        "run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr.strip()) == (1, "Aborted!")
