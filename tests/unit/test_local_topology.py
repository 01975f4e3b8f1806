import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.local import topology
from streams.local.home import Home, LocalSecrets, home_at
from streams.local.ports import PREFERRED, free_port, is_free, ports_of
from streams.local.processes import LocalError
from streams.local.topology import PORTS, local_settings, own_models_url, roles, servers
from streams.settings import SettingsError, to_environment

PORT = {name: 20_000 + index for index, name in enumerate(PORTS)}
SECRETS = LocalSecrets(postgres_password="p", objects_secret_key="o", key="k")
OWN = own_models_url(PORT)
DEMO_MEDIA = f"127.0.0.1:{PORT['demo_media']}"
STORE = f"127.0.0.1:{PORT['objects']}"


@pytest.mark.parametrize(
    ("given", "base_url", "api_key"),
    [
        ({}, OWN, "local"),
        ({"SENSORIUM_OPENAI__API_KEY": "", "SENSORIUM_OPENAI__BASE_URL": ""}, OWN, "local"),
        ({"SENSORIUM_OPENAI__API_KEY": "sk"}, "https://api.openai.com/v1", "sk"),
        ({"SENSORIUM_OPENAI__BASE_URL": "http://models/v1"}, "http://models/v1", ""),
        (
            {"SENSORIUM_OPENAI__BASE_URL": "http://models/v1", "SENSORIUM_OPENAI__API_KEY": "sk"},
            "http://models/v1",
            "sk",
        ),
        (
            {"SENSORIUM_OPENAI__BASE_URL": OWN, "SENSORIUM_OPENAI__API_KEY": "sk"},
            "https://api.openai.com/v1",
            "sk",
        ),
    ],
)
def test_a_model_of_this_machine_is_used_only_where_none_is_given(
    given: dict[str, str], base_url: str, api_key: str
) -> None:
    settings = local_settings(given, PORT, SECRETS)
    assert (settings.openai.base_url, settings.openai.api_key) == (base_url, api_key)
    names = {role.name for role in roles(settings, PORT)}
    assert ("local-models" in names) == (base_url == OWN)


def test_the_stand_in_answers_where_the_engines_are_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topology, "engines_installed", lambda: False)
    names = {role.name for role in roles(local_settings({}, PORT, SECRETS), PORT)}
    assert names & {"local-models", "stand-in"} == {"stand-in"}


@pytest.fixture(autouse=True)
def engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "engines_installed", lambda: True)


def test_ears_of_this_machine_work_beside_the_eyes_of_another_server() -> None:
    given = {
        "SENSORIUM_OPENAI__BASE_URL": "http://127.0.0.1:11434/v1",
        "SENSORIUM_OPENAI__TRANSCRIPTION_BASE_URL": own_models_url(PORT),
    }
    settings = local_settings(given, PORT, SECRETS)
    assert settings.openai.base_url == "http://127.0.0.1:11434/v1"
    assert topology.OWN_MODELS & {role.name for role in roles(settings, PORT)}


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ("", f"{DEMO_MEDIA},{STORE}"),
        ("10.0.0.1:80", f"10.0.0.1:80,{DEMO_MEDIA},{STORE}"),
        (f"10.0.0.1:80,{DEMO_MEDIA}", f"10.0.0.1:80,{DEMO_MEDIA},{STORE}"),
        (f"{STORE},{DEMO_MEDIA}", f"{STORE},{DEMO_MEDIA}"),
    ],
)
def test_the_servers_of_the_demos_files_are_allowed_beside_those_that_are_given(
    given: str, allowed: str
) -> None:
    assert (
        local_settings(
            {"SENSORIUM_MEDIA__ALLOWED_PRIVATE_HOSTS": given}, PORT, SECRETS
        ).media.allowed_private_hosts
        == allowed
    )


def test_the_environment_overrides_the_local_defaults() -> None:
    settings = local_settings(
        {"SENSORIUM_KAFKA__PARTITIONS": "7", "SENSORIUM_RECEIVER__PORT": "9999", "HOME": "/"},
        PORT,
        SECRETS,
    )
    assert (
        settings.kafka.partitions,
        settings.kafka.replication_factor,
        settings.receiver.port,
    ) == (7, 1, 9999)


def test_a_wrong_name_in_the_environment_is_refused() -> None:
    with pytest.raises(SettingsError, match="SENSORIUM_KAFKA__PARTITONS is not a setting"):
        local_settings({"SENSORIUM_KAFKA__PARTITONS": "7"}, PORT, SECRETS)


def test_the_settings_in_force_given_back_are_the_same_settings() -> None:
    settings = local_settings({}, PORT, SECRETS)
    assert local_settings(to_environment(settings), PORT, SECRETS) == settings


@pytest.mark.parametrize(
    ("setting", "value", "touched"),
    [
        ("SENSORIUM_RECEIVER__PORT", "9999", {"receive"}),
        ("SENSORIUM_CONSOLE__ALLOWED_ORIGINS", "https://a", {"console"}),
        ("SENSORIUM_OPENAI__VISION_MODEL", "gpt-4o-mini", {"describe", "transcribe"}),
        ("SENSORIUM_LOCAL__THREADS", "2", {"local-models"}),
        (
            "SENSORIUM_LOG__LEVEL",
            "debug",
            {
                "receive",
                "dedupe",
                "store_media",
                "describe",
                "transcribe",
                "assemble",
                "sink",
                "console",
                "local-models",
            },
        ),
    ],
)
def test_another_value_touches_those_that_read_it(
    setting: str, value: str, touched: set[str]
) -> None:
    before = {
        role.name: role.fingerprint for role in roles(local_settings({}, PORT, SECRETS), PORT)
    }
    after = {
        role.name: role.fingerprint
        for role in roles(local_settings({setting: value}, PORT, SECRETS), PORT)
    }
    assert {name for name in before if before[name] != after[name]} == touched


def test_each_role_has_a_name_of_its_own_and_is_asked_at_its_own_port() -> None:
    declared = list(roles(local_settings({}, PORT, SECRETS), PORT))
    for role in declared:
        assert role.environment.get("SENSORIUM_WORKER__NAME") in (None, f"{role.name}-1")
    assert len({role.name for role in declared}) == len(declared)
    assert len({role.port for role in declared}) == len(declared)
    assert {role.name: role.role for role in declared}["dedupe"] == "stream dedupe"


def test_a_server_that_the_settings_place_elsewhere_is_not_started_here(tmp_path: Path) -> None:
    given = {
        "SENSORIUM_KAFKA__BOOTSTRAP_SERVERS": "broker:9092",
        "SENSORIUM_POSTGRES__DSN": "postgresql://u:secret@db/x",
        "SENSORIUM_OBJECTS__ENDPOINT": "https://s3.example",
    }
    makers = servers(home_at(tmp_path), local_settings(given, PORT, SECRETS), PORT, SECRETS, print)
    found = [make() for make in makers.values()]
    assert [(server.name, server.argv, server.url) for server in found] == [
        ("kafka", (), "kafka://broker:9092"),
        ("postgres", (), "postgres://db:5432"),
        ("objects", (), "https://s3.example"),
    ]


def test_a_taken_port_is_replaced_by_a_free_one_and_kept_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_at(tmp_path)
    home.make()
    with listening() as port:
        monkeypatch.setattr("streams.local.ports.PREFERRED", {"kafka": port})
        chosen = chosen_ports(home, ["kafka"])
        assert chosen["kafka"] != port
    assert chosen_ports(home, ["kafka"]) == chosen


def test_a_port_that_our_own_process_listens_on_is_kept(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    home.make()
    chosen = chosen_ports(home, ["kafka"], anywhere=True)
    with listening(chosen["kafka"]):
        assert chosen_ports(home, ["kafka"], held=chosen) == chosen
        assert chosen_ports(home, ["kafka"]) != chosen


def test_no_two_names_get_the_same_port(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    home.make()
    chosen = chosen_ports(home, list(PORTS), anywhere=True)
    assert len(set(chosen.values())) == len(PORTS)
    assert not set(chosen.values()) & set(PREFERRED.values())
    assert is_free(free_port(set(chosen.values())))


@pytest.mark.parametrize(
    ("name", "setting"),
    [("receiver", "SENSORIUM_RECEIVER__PORT"), ("console", "SENSORIUM_CONSOLE__PORT")],
)
def test_an_address_that_others_know_does_not_move_when_its_port_is_taken(
    tmp_path: Path, name: str, setting: str
) -> None:
    home = home_at(tmp_path)
    home.make()
    chosen = chosen_ports(home, [name], anywhere=True)
    with listening(chosen[name]), pytest.raises(LocalError, match=setting):
        chosen_ports(home, [name])
    assert chosen_ports(home, [name]) == chosen


def test_a_port_that_a_setting_names_is_taken_or_refused_but_never_replaced(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    home.make()
    port = free_port(set())
    from_settings = {"receiver": port}
    assert chosen_ports(home, ["receiver"], from_settings=from_settings) == from_settings
    with listening(port), pytest.raises(LocalError, match="SENSORIUM_RECEIVER__PORT"):
        chosen_ports(home, ["receiver"], from_settings=from_settings)


def test_two_installations_that_start_together_share_no_port(tmp_path: Path) -> None:
    first, second = home_at(tmp_path / "first"), home_at(tmp_path / "second")
    first.make()
    second.make()
    ports = ports_of(first, list(PORTS), installation=frozenset({"first"}))
    try:
        others = ports_of(second, list(PORTS), installation=frozenset({"second"}))
        others.release()
        assert set(ports.number.values()).isdisjoint(others.number.values())
    finally:
        ports.release()


def chosen_ports(home: Home, names: list[str], **more: Any) -> dict[str, int]:
    ports = ports_of(home, names, installation=frozenset({"ours"}), **more)
    ports.release()
    return ports.number


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield listener.getsockname()[1]
