"""Several processes of one environment: names, ports and namespaces do not collide."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest

from schemas.pipeline import STAGES
from schemas.settings import Settings, WorkerSettings
from storage.kafka.member_names import static_member
from streams.roles.operations import start_operations
from streams.roles.stream import METRICS_PORT, Parent
from streams.settings import SettingsError, read_settings

PROGRAM = """
import sys
from storage.kafka.member_names import static_member
print(static_member("sensorium-dedupe", "dedupe-1"), flush=True)
sys.stdin.read()
"""


def replica(folder: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def name_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_of_one_environment_are_two_members_and_a_restart_keeps_its_name(
    tmp_path: Any,
) -> None:
    with replica(str(tmp_path)) as second:
        with replica(str(tmp_path)) as first:
            names = {name_of(first), name_of(second)}
            assert len(names) == 2
            assert all(name.startswith("sensorium-dedupe-dedupe-1-") for name in names)
            first.kill()
        with replica(str(tmp_path)) as again:
            assert name_of(again) in names
            again.kill()
        second.kill()


def test_without_a_name_or_a_place_for_its_lock_membership_is_dynamic(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert static_member("group", "") is None
    (tmp_path / f"sensorium-names-{os.getuid()}").mkdir(mode=0o755)
    (tmp_path / f"sensorium-names-{os.getuid()}").chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert static_member("group", "worker") is None


def test_each_stage_of_a_process_has_a_port_of_its_own() -> None:
    parent = Parent(Settings(worker=WorkerSettings(metrics_port=9_100)), STAGES)
    ports = [parent._port_of(stage)[METRICS_PORT] for stage in STAGES]
    assert ports == ["9100", "9101", "9102", "9103", "9104"]
    assert (
        Parent(Settings(worker=WorkerSettings(metrics_port=9_100)), ("dedupe",))._port_of("dedupe")
        == {}
    )
    assert Parent(Settings(), STAGES)._port_of("assemble") == {}


def test_a_port_that_another_process_has_is_passed_over() -> None:
    def troubles() -> dict[str, Any]:
        return {"troubles": ["partition 3 is parked"]}

    first = start_operations("127.0.0.1", 23_517, lambda: True)
    assert first is not None
    port = first.server_address[1]
    second = start_operations("127.0.0.1", int(port), lambda: False, status=troubles)
    assert second is not None
    assert second.server_address[1] != port
    with urllib.request.urlopen(f"http://127.0.0.1:{second.server_address[1]}/status") as answer:
        assert json.load(answer) == {"troubles": ["partition 3 is parked"], "ready": False}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{second.server_address[1]}/readyz")
    assert refused.value.read() == b"not ready\npartition 3 is parked\n"
    for server in (first, second):
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("namespace", ["sensorium", "media", "public", "pg-catalog"])
def test_a_namespace_that_would_share_what_another_has_is_refused(namespace: str) -> None:
    with pytest.raises(SettingsError, match="SENSORIUM_NAMESPACE"):
        read_settings({"SENSORIUM_NAMESPACE": namespace})
