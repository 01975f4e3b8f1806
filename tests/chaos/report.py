"""Writes the results as a table and as JSON.

`python -m tests.chaos.report FILE…` makes one table from the JSON of several runs.
"""

import dataclasses
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Line:
    """A fault and its result.

    `longest_stall` is the longest time, in seconds, from acceptance until a
    read_committed reader saw the first version.
    """

    fault: str
    seed: int
    accepted: int
    deliveries: int
    kills: int
    rows: int
    lost: int
    twice: int
    wrong_tenant: int
    stuck: int
    poison: int
    paid: int
    paid_bound: int
    longest_stall: float
    seconds: float
    statuses: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return "ok" if not self.broken and not self.failures else "FAILED"


_COLUMNS = (
    "fault", "seed", "accepted", "deliveries", "kills", "rows", "lost", "twice", "wrong tenant", "stuck", "poison", "paid/bound", "stall s", "verdict",
)  # fmt: skip


def table(lines: list[Line]) -> str:
    rows = [_COLUMNS, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    drawn = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    drawn.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for line in lines:
        drawn += [f"{line.fault}: {name}: {value}" for name, value in line.notes.items()]
        drawn += [f"{line.fault}: FAILED: {failure}" for failure in line.failures]
        drawn += [
            f"{line.fault}: BROKEN: {promise}: {len(several)}, such as {several[:3]}"
            for promise, several in line.broken.items()
        ]
    return "\n".join(drawn)


def _cells(line: Line) -> tuple[str, ...]:
    numbers = (
        line.seed,
        line.accepted,
        line.deliveries,
        line.kills,
        line.rows,
        line.lost,
        line.twice,
        line.wrong_tenant,
        line.stuck,
        line.poison,
    )
    return (
        line.fault,
        *map(str, numbers),
        f"{line.paid}/{line.paid_bound}",
        f"{line.longest_stall:g}",
        line.verdict,
    )


def write_json(lines: list[Line], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    document = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": f"{platform.system()} {platform.machine()}, {_cores()} cores",
        "verdict": "ok" if all(line.verdict == "ok" for line in lines) else "FAILED",
        "faults": [dataclasses.asdict(line) | {"verdict": line.verdict} for line in lines],
    }
    file.write_text(json.dumps(document, indent=1))
    return file


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def seeds_side_by_side(faults: list[dict[str, Any]]) -> str:
    """One row per fault, in Markdown. Where seeds differ, a cell has their values in order."""
    named: dict[str, list[dict[str, Any]]] = {}
    for one in faults:
        named.setdefault(one["fault"], []).append(one)
    rows = [
        (
            "fault",
            "seeds",
            "accepted",
            "kills",
            "lost",
            "twice",
            "stuck",
            "wrong tenant",
            "paid/bound",
            "longest stall s",
            "verdict",
        )
    ]
    for fault, runs in named.items():
        runs.sort(key=lambda run: run["seed"])
        counted = (
            [str(run[name]) for run in runs]
            for name in ("seed", "accepted", "kills", "lost", "twice", "stuck", "wrong_tenant")
        )
        paid = [f"{run['paid']}/{run['paid_bound']}" for run in runs]
        stalls = [f"{run['longest_stall']:g}" for run in runs]
        rows.append(
            (
                fault,
                *map(_differing, counted),
                _differing(paid),
                _differing(stalls),
                _differing([run["verdict"] for run in runs]),
            )
        )
    drawn = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([drawn[0], "|---" * len(rows[0]) + "|", *drawn[1:]])


def _differing(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ", ".join(values)


if __name__ == "__main__":
    print(
        seeds_side_by_side(
            [
                fault
                for name in sys.argv[1:]
                for fault in json.loads(Path(name).read_text())["faults"]
            ]
        )
    )
