"""Writes the addresses of the local processes' metrics for Prometheus (file_sd)."""

from collections.abc import Iterable

from streams.local.home import Home, write
from streams.local.topology import OWN_MODELS, Declared


def write_targets(home: Home, roles: Iterable[Declared]) -> None:
    """Writes `prometheus.json` with one target per role."""
    targets = [
        {"targets": [role.url.removeprefix("http://")], "labels": {"role": role.name}}
        for role in roles
        if role.url and role.name not in OWN_MODELS
    ]
    write(home.folder / "prometheus.json", targets)
