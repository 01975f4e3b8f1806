"""docker-compose.yml gives each role the settings it needs, and keeps data where programs write it."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from schemas.pipeline import STAGES
from schemas.settings import Secret
from streams.roles.needs import PARTS_OF_ROLE
from streams.settings import PREFIX, known_settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
DOCKERFILES = (ROOT / "Dockerfile", ROOT / "docker/objects.Dockerfile")
DATA_FOLDER: dict[str, Callable[[dict[str, Any]], str]] = {
    # Any KAFKA_* variable replaces the image's configuration, and then Kafka's own default holds.
    "apache/kafka": lambda service: service["environment"].get("KAFKA_LOG_DIRS", "/tmp/kafka-logs"),
    "postgres": lambda service: service["environment"].get("PGDATA", "/var/lib/postgresql/data"),
    "sensorium-objects": lambda service: service["command"][service["command"].index("server") + 1],
}
"""Maps each image to the folder where its program writes.

The folders are documented defaults, or named in the service.
"""


def role_services(compose: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each role with its service."""
    for service in compose["services"].values():
        if service.get("command", [""])[0] == "sensorium":
            yield " ".join(service["command"][1:]), service


def volumes_that_hold_nothing(compose: dict[str, Any]) -> list[str]:
    """Named volumes that are mounted where the program does not write."""
    found = []
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source, _, target = volume.partition(":")
            if target:
                writes_to = DATA_FOLDER[re.split("[:@]", service["image"])[0]](service)
                found += [f"{name}: {source} at {target}, not {writes_to}"] * (target != writes_to)
    return found


def settings_beyond_need(compose: dict[str, Any]) -> list[str]:
    return [
        f"{role}: {name}"
        for role, service in role_services(compose)
        for name in service["environment"]
        if name.startswith(PREFIX)
        and name.removeprefix(PREFIX).partition("__")[0].lower() not in PARTS_OF_ROLE[role]
    ]


def services_without_limits(compose: dict[str, Any]) -> list[str]:
    return [
        name
        for name, service in compose["services"].items()
        if service.get("cap_drop") != ["ALL"]
        or "no-new-privileges:true" not in service.get("security_opt", [])
        or not service.get("mem_limit")
        or not service.get("pids_limit")
        or (service.get("read_only") is not True and name != "kafka")
    ]


def images_without_digest(compose: dict[str, Any]) -> list[str]:
    return [
        service["image"]
        for service in compose["services"].values()
        if "build" not in service and "@sha256:" not in service["image"]
    ]


def test_every_role_has_a_service() -> None:
    wanted = {"receive", "sink", "console", *(f"stream {stage}" for stage in STAGES)}
    assert wanted == {role for role, _ in role_services(COMPOSE)}


def test_every_setting_it_gives_is_known() -> None:
    given = {
        name
        for service in COMPOSE["services"].values()
        for name in service["environment"]
        if name.startswith(PREFIX)
    }
    assert given and given <= set(known_settings())


@pytest.mark.parametrize(
    "check",
    [
        volumes_that_hold_nothing,
        settings_beyond_need,
        services_without_limits,
        images_without_digest,
    ],
)
def test_nothing_is_wrong_with_it(check: Callable[[dict[str, Any]], list[str]]) -> None:
    assert check(COMPOSE) == []


def _forget_kafkas_folder(services: dict[str, Any]) -> None:
    del services["kafka"]["environment"]["KAFKA_LOG_DIRS"]


def _move_postgres(services: dict[str, Any]) -> None:
    services["postgres"]["environment"]["PGDATA"] = "/data"


def _give_the_receiver_the_models_key(services: dict[str, Any]) -> None:
    services["receive"]["environment"]["SENSORIUM_OPENAI__API_KEY"] = "sk"


def _let_the_sink_gain_privileges(services: dict[str, Any]) -> None:
    services["sink"]["security_opt"] = []


def _unpin_postgres(services: dict[str, Any]) -> None:
    services["postgres"]["image"] = "postgres:15"


@pytest.mark.parametrize(
    ("break_it", "check"),
    [
        (_forget_kafkas_folder, volumes_that_hold_nothing),
        (_move_postgres, volumes_that_hold_nothing),
        (_give_the_receiver_the_models_key, settings_beyond_need),
        (_let_the_sink_gain_privileges, services_without_limits),
        (_unpin_postgres, images_without_digest),
    ],
)
def test_each_check_finds_what_it_is_for(
    break_it: Callable[[dict[str, Any]], None], check: Callable[[dict[str, Any]], list[str]]
) -> None:
    broken = copy.deepcopy(COMPOSE)
    break_it(broken["services"])
    assert len(check(broken)) == 1


def test_a_password_is_never_part_of_an_address() -> None:
    secrets = {name for name, default in known_settings().items() if isinstance(default, Secret)}
    for _, service in role_services(COMPOSE):
        for name, value in service["environment"].items():
            if "${" in str(value):
                assert name in secrets
                assert re.fullmatch(r"\$\{\w+:[?-][\w ]*\}", value)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_every_base_image_is_pinned_by_its_digest(file: Path) -> None:
    bases = re.findall(r"^FROM (\S+)", file.read_text(), re.MULTILINE)
    assert bases and all(re.search(r"@sha256:[0-9a-f]{64}$", base) for base in bases)


def test_compose_builds_the_same_object_store_as_up() -> None:
    from streams.local.objects import SOURCES

    source = SOURCES["minio"]
    assert f"{source.package}@{source.version}" in DOCKERFILES[1].read_text()


def test_what_builds_the_package_has_the_versions_of_what_runs_it() -> None:
    run, build = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "build.lock")
    )
    assert {name: version for name, version in build.items() if name in run} == {
        name: version for name, version in run.items() if name in build
    }
