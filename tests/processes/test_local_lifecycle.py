"""`up` with roles that only answer probes, and with servers that run elsewhere."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from schemas.providers import PROVIDERS
from schemas.settings import Settings
from streams.local import lifecycle, topology
from streams.local.home import Home, home_at, read
from streams.local.lifecycle import demo_tenant, down, is_whole, status, up
from streams.local.processes import LocalError, marked, wait_for
from streams.local.topology import Declared

ELSEWHERE = {
    "SENSORIUM_KAFKA__BOOTSTRAP_SERVERS": "broker:9092",
    "SENSORIUM_POSTGRES__DSN": "postgresql://u:secret@db/x",
    "SENSORIUM_OBJECTS__ENDPOINT": "https://s3.example",
}
ANSWERS = """
import sys, http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
PRINTED = {"tenants": {"tenant_id": "demo"}, "endpoints": {"token": "t"}}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that `up` ran, in order.

    Roles are replaced by processes that are ready at once.
    """
    commands: list[tuple[str, ...]] = []

    def command(settings: Settings, *words: str) -> str:
        commands.append(words)
        return json.dumps(PRINTED.get(words[0], {}))

    def roles(settings: Settings, ports: Mapping[str, int]) -> Iterator[Declared]:
        for role in topology.roles(settings, ports):
            if role.name in ("receive", "dedupe"):
                yield msgspec.structs.replace(
                    role, argv=(sys.executable, "-c", ANSWERS, str(role.port))
                )

    monkeypatch.setattr(lifecycle, "sensorium", command)
    monkeypatch.setattr(lifecycle, "roles", roles)
    return commands


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = home_at(tmp_path / "var")
    yield home
    down(home, say=print)


def bring_up(home: Home, **more: str) -> dict[str, int | None]:
    given = ELSEWHERE | {f"SENSORIUM_{name}": value for name, value in more.items()}
    rows = up(home, given, say=print, ports_anywhere=True, owner=os.getpid()).processes
    assert is_whole(rows)
    return {row.name: row.pid for row in rows}


def test_topics_and_tables_are_there_before_the_demo_tenant_and_it_is_added_once(
    home: Home, called: list[tuple[str, ...]]
) -> None:
    running = bring_up(home)
    assert list(running) == ["kafka", "postgres", "objects", "receive", "dedupe"]
    assert called == [
        ("topics", "apply"),
        ("migrate",),
        ("tenants", "add", "demo", "--json"),
        *(("endpoints", "add", "demo", provider, "--json") for provider in PROVIDERS),
    ]
    assert bring_up(home) == running
    assert called[5:] == [("topics", "apply"), ("migrate",)]


def test_another_value_restarts_only_the_roles_that_read_it(
    home: Home, called: list[tuple[str, ...]]
) -> None:
    before = bring_up(home)
    after = bring_up(home, RECEIVER__DRAIN_SECONDS="3")
    assert after["dedupe"] == before["dedupe"]
    assert after["receive"] != before["receive"]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("https://hooks.example.com", "https://hooks.example.com"),
        ("http://127.0.0.1:1", "http://127.0.0.1:{port}"),
        ("http://localhost:1", "http://127.0.0.1:{port}"),
    ],
)
def test_the_public_address_is_kept_and_one_of_an_earlier_up_is_not(
    home: Home, called: list[tuple[str, ...]], given: str, written: str
) -> None:
    bring_up(home, RECEIVER__URL=given)
    lines = dict(line.split("=", 1) for line in home.environment_file.read_text().splitlines())
    port = lines["SENSORIUM_RECEIVER__PORT"]
    assert lines["SENSORIUM_RECEIVER__URL"] == written.format(port=port)


def test_the_demo_tenant_is_remembered_for_each_database_and_namespace(
    home: Home, called: list[tuple[str, ...]]
) -> None:
    bring_up(home)
    settings = up(home, ELSEWHERE, say=print, owner=os.getpid()).settings
    assert demo_tenant(home, settings) == {
        "tenant_id": "demo",
        "endpoints": {provider: {"token": "t"} for provider in PROVIDERS},
    }
    with pytest.raises(LocalError, match="run `sensorium up` first"):
        demo_tenant(home, msgspec.structs.replace(settings, namespace="other"))


def test_a_role_that_does_not_stay_up_fails_up_with_the_end_of_its_log(
    home: Home, called: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Declared(
        name="sink",
        role="sink",
        argv=("sh", "-c", "echo no such table; exit 1"),
        port=None,
        url=None,
        probe="http://127.0.0.1:1/",
    )
    monkeypatch.setattr(lifecycle, "roles", lambda settings, ports: [broken])
    with pytest.raises(LocalError, match=r"(?s)sink does not stay up.*no such table"):
        bring_up(home)


def test_down_ends_all_of_it_and_a_second_down_finds_nothing(
    home: Home, called: list[tuple[str, ...]]
) -> None:
    bring_up(home)
    down(home, say=print)
    assert list(marked(home.mark(""))) == []
    assert not is_whole(status(home))
    assert {row.state for row in down(home, say=print)} == {"stopped"}


def test_secrets_and_ports_are_the_same_after_a_restart(
    home: Home, called: list[tuple[str, ...]]
) -> None:
    bring_up(home)
    before = home.environment_file.read_text()
    down(home, say=print)
    bring_up(home)
    assert home.environment_file.read_text() == before
    assert read(home.run / "secrets.json", {})["key"] in before


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    home = home_at(tmp_path / "never")
    assert (status(home), down(home, say=print), is_whole(status(home))) == ([], [], False)
    assert not home.folder.exists()


def test_what_needs_no_object_store_runs_before_the_store_is_built(
    home: Home, called: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def servers(home: Home, *rest: object) -> dict[str, Callable[[], Declared]]:
        makers = topology.servers(home, *rest)  # type: ignore[arg-type]

        def build() -> Declared:
            assert wait_for(lambda: "dedupe" in running(home), 90)
            assert "store_media" not in running(home)
            return makers["objects"]()

        return makers | {"objects": build}

    def roles(settings: Settings, ports: Mapping[str, int]) -> Iterator[Declared]:
        for role in topology.roles(settings, ports):
            if role.name in ("dedupe", "store_media"):
                argv = (sys.executable, "-c", ANSWERS, str(role.port))
                yield msgspec.structs.replace(role, argv=argv)

    monkeypatch.setattr(lifecycle, "servers", servers)
    monkeypatch.setattr(lifecycle, "roles", roles)
    assert set(bring_up(home)) == {"kafka", "postgres", "objects", "dedupe", "store_media"}


def test_a_role_that_is_no_longer_wanted_ends(
    home: Home, called: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "receive" in bring_up(home)
    wanted = lifecycle.roles
    monkeypatch.setattr(
        lifecycle,
        "roles",
        lambda settings, ports: (role for role in wanted(settings, ports) if role.name == "dedupe"),
    )
    assert "dedupe" in bring_up(home)
    assert wait_for(lambda: "receive" not in running(home), 60)


def running(home: Home) -> set[str]:
    return {row.name for row in status(home) if row.state == "running"}
