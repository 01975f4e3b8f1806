"""`make bench`: product and reference side by side in one run, in turns. `BENCH="lanes sink"` picks some."""

import os
import sys
from collections.abc import Callable

from bench import (
    dedupe,
    figures,
    jobs,
    lanes,
    queue,
    receipts,
    receiver,
    recovery,
    sink,
    sizing,
    soak,
    table,
    tenants,
)
from bench.rig import Rig, servers

BENCHES: dict[str, Callable[[Rig], list[figures.Table]]] = {
    "lanes": lanes.run,
    "dedupe": dedupe.run,
    "receiver": receiver.run,
    "sink": sink.run,
    "recovery": recovery.run,
    "table": table.run,
    "receipts": receipts.run,
    "tenants": tenants.run,
    "queue": queue.run,
    "jobs": jobs.run,
    "sizing": sizing.run,
    "soak": soak.run,
}
LONG = ("sizing", "soak")
"""Run only when named."""


def main(wanted: list[str]) -> None:
    unknown = set(wanted) - set(BENCHES)
    if unknown:
        raise SystemExit(f"{', '.join(sorted(unknown))}: benches are {', '.join(BENCHES)}")
    with servers() as rig:
        for name in wanted or [name for name in BENCHES if name not in LONG]:
            load_average = os.getloadavg()[0]
            print(f"\n{name}: running", flush=True)
            tables = BENCHES[name](rig)
            file = figures.write(name, tables, load_average)
            print(
                *map(figures.show, tables),
                f"  load average before: {load_average:.1f}; written to {file}",
                sep="\n",
                flush=True,
            )


main(sys.argv[1:])
