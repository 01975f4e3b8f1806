"""Measures the cost of receipts: the same workers with them and without.

`python -m bench.receipts lanes|dedupe with|without` is a worker: one process with the
app of bench/lanes or of the real role.
"""

import sys
from collections.abc import Callable, Iterable

import uvloop

from bench import lanes
from bench.figures import Pace, Table, paced, ratio
from bench.rig import BenchRecord, Rig, committed, fill
from bench.stock import work
from bench.traffic import raw_record, with_duplicates
from schemas.receipts import Ledger
from schemas.topics import Names
from streams.apps.dedupe import create_app
from streams.settings import read_settings

ROUNDS = 5
LANE_RECORDS = 200_000
DEDUPE_RECORDS = 60_000


def run(rig: Rig) -> list[Table]:
    return [
        _table(rig, "lanes", LANE_RECORDS, lanes.records),
        _table(
            rig,
            "dedupe",
            DEDUPE_RECORDS,
            lambda count: map(raw_record, with_duplicates(count)),
            at_least=0.95,
        ),
    ]


def _table(
    rig: Rig,
    job: str,
    count: int,
    records: Callable[[int], Iterable[BenchRecord]],
    at_least: float = 0.0,
) -> Table:
    paces_with, paces_without = [], []
    # Not counted: the broker is faster once its own code is compiled.
    _pace(rig, job, "with", count, records)
    for _ in range(ROUNDS):
        paces_with.append(_pace(rig, job, "with", count, records))
        paces_without.append(_pace(rig, job, "without", count, records))
    with_receipts, without = paced("with receipts", paces_with), paced("without", paces_without)
    goal = ratio("with : without", with_receipts, without, at_least=at_least)
    return Table(
        bench="receipts",
        title=f"receipts, {job}",
        unit="records/s",
        figures=[with_receipts, without],
        ratios=[goal],
    )


def _pace(
    rig: Rig, job: str, side: str, count: int, records: Callable[[int], Iterable[BenchRecord]]
) -> Pace:
    settings = rig.fresh()
    names = Names(settings.namespace)
    fill(settings.kafka, names.topic("raw-messages"), records(count))
    with rig.process(settings, "bench.receipts", job, side) as worker:
        return worker.pace(
            committed(settings.kafka, names.group("dedupe"), names.topic("raw-messages")),
            count,
            count,
        )


if __name__ == "__main__":
    uvloop.install()
    if sys.argv[2] == "without":
        Ledger.receipts = lambda self, span, lines: []  # type: ignore[method-assign]
    work({"lanes": lanes.ours, "dedupe": create_app}[sys.argv[1]](read_settings()))
