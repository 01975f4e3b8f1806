"""`make bench`: measures the product and its reference side by side in one run, in turns.

`BENCH="lanes sink"` chooses benches.
"""

import os
import signal
import sys
from collections.abc import Callable

from bench import (
    cold,
    console,
    dedupe,
    figures,
    jobs,
    lanes,
    queue,
    receipts,
    receiver,
    recovery,
    scale,
    sink,
    sizing,
    soak,
    table,
    tenants,
    way,
)
from bench.rig import BenchFailed, Rig, servers
from bench.rivals import run as rivals
from streams.local.processes import LocalError

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
    "console": console.run,
    "jobs": jobs.run,
    "rivals": rivals.run,
    "way": way.run,
    "scale": scale.run,
    "sizing": sizing.run,
    "cold": cold.run,
    "soak": soak.run,
}
LONG = ("rivals", "way", "scale", "sizing", "cold", "soak")
"""Run only when named."""
PARTIAL = ("RIVALS", "SHARE", "SECONDS", "IDS")
"""Variables that make a run smaller than the usual one.

Its result gets a file of its own and is never written to the page.
"""


def main(names: list[str]) -> None:
    unknown = set(names) - set(BENCHES)
    if unknown:
        raise SystemExit(f"{', '.join(sorted(unknown))}: the benches are {', '.join(BENCHES)}")
    with servers() as rig:
        for name in names or [name for name in BENCHES if name not in LONG]:
            load_average = os.getloadavg()[0]
            print(f"\n{name}: running", flush=True)
            tables = BENCHES[name](rig)
            is_part = any(os.environ.get(word) for word in PARTIAL)
            file = figures.write(f"{name}-part" if is_part else name, tables, load_average)
            print(
                *map(figures.show, tables),
                f"  load average before: {load_average:.1f}; written to {file}",
                sep="\n",
                flush=True,
            )


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends everything started here
try:
    main(sys.argv[1:])
except (BenchFailed, LocalError) as error:
    raise SystemExit(f"bench: {error}") from None
