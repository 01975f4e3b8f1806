"""docs/prometheus.yml scrapes every role at the address of `up` and of docker-compose.yml."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from schemas.settings import Settings
from streams.local.home import home_at
from streams.local.scraping import write_targets
from streams.local.topology import PORTS, roles

ROOT = Path(__file__).parents[2]
CONFIGURATION: Any = YAML(typ="safe").load(ROOT / "docs" / "prometheus.yml")
JOBS = {job["job_name"]: job for job in CONFIGURATION["scrape_configs"]}


def expected(compose: Any) -> set[tuple[str, str]]:
    """(role, target) of every service that has metrics."""
    found = set()
    for name, service in compose["services"].items():
        environment = service.get("environment", {})
        port = environment.get("SENSORIUM_WORKER__METRICS_PORT")
        if name in ("receive", "console"):
            port = service["ports"][0].rpartition(":")[2]
        if port is not None:
            found.add((name.replace("-", "_"), f"{name}:{port}"))
    return found


def test_every_service_of_compose_is_scraped_at_its_port() -> None:
    compose: Any = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    scraped = {
        (one["labels"]["role"], target)
        for one in JOBS["sensorium-compose"]["static_configs"]
        for target in one["targets"]
    }
    assert scraped == expected(compose) and len(scraped) == 8
    compose["services"]["sink"]["environment"]["SENSORIUM_WORKER__METRICS_PORT"] = "9101"
    assert scraped != expected(compose)


def test_up_writes_the_targets_that_the_page_reads(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    ports = {name: 20_000 + number for number, name in enumerate(PORTS)}
    write_targets(home, roles(Settings(), ports))
    written = json.loads((tmp_path / "prometheus.json").read_text())
    named = {one["labels"]["role"]: one["targets"] for one in written}
    assert set(named) == {"receive", "dedupe", "store_media", "describe", "transcribe", "assemble", "sink", "console"}  # fmt: skip
    assert named["sink"] == [f"127.0.0.1:{ports['sink']}"]
    (file,) = JOBS["sensorium-local"]["file_sd_configs"][0]["files"]
    assert file.endswith("/var/prometheus.json")


@pytest.mark.parametrize("page", ["docs/operating.md", "docs/readers.md"])
def test_every_page_that_is_named_is_there(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text())
    missing = [one for one in links if not (ROOT / "docs" / one).exists()]
    assert missing == []
