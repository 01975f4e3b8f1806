"""Lists the rivals of each stage and runs them."""

import os
from collections.abc import Callable

from bench.figures import Table
from bench.rig import Rig
from bench.rivals import dedup, gateway, parts, sink
from streams.local.parts import Say

_STREAMS, _CONNECT = (parts.topology,), (parts.connect, parts.debezium_jdbc)
NEEDS: dict[str, tuple[Callable[[Say], object], ...]] = {
    "gateway": (parts.gateway,),
    "dedup": (*_STREAMS, parts.quix),
    "latency": _STREAMS,
    "sink": _CONNECT,
}
"""The programs that must be fetched and built before the measurements."""
STAGES: dict[str, Callable[[Rig], list[Table]]] = {
    "gateway": gateway.run,
    "dedup": dedup.run,
    "latency": dedup.latency,
    "sink": sink.run,
}


def run(rig: Rig) -> list[Table]:
    """Runs all stages, or those that RIVALS names."""
    tables: list[Table] = []
    for name in chosen():
        for make in NEEDS[name]:
            make(print)
    for name in chosen():
        print(f" {name}", flush=True)
        tables += STAGES[name](rig)
    return tables


def chosen() -> list[str]:
    """The names of the stages to measure."""
    names = os.environ.get("RIVALS", "").split() or list(STAGES)
    unknown = sorted(set(names) - set(STAGES))
    if unknown:
        raise SystemExit(f"RIVALS={' '.join(unknown)}: rivals are {', '.join(STAGES)}")
    return names
