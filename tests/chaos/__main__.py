"""`python -m tests.chaos --fault NAME,… --seed N --minutes M` runs faults.

The exit code is 1 if a promise was not kept.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

from tests.chaos.faults.catalogue import FAULTS, SHORT
from tests.chaos.report import Line, table, write_json
from tests.chaos.run import Options, running, say
from tests.chaos.world import ENDING

RESULTS = Path(__file__).parents[2] / "var" / "chaos"


def _end(number: int, frame: object) -> None:
    ENDING.set()
    raise KeyboardInterrupt


def main() -> int:
    words = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=f"Faults: {', '.join(FAULTS)}; all."
    )
    words.add_argument("--fault", default="", help="comma-separated; default: the short set")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument(
        "--minutes",
        type=float,
        default=0.0,
        help="go on with these faults, each time longer, until so many minutes have passed",
    )
    words.add_argument("--rate", type=float, default=20.0, help="deliveries a second")
    words.add_argument(
        "--long", action="store_true", help="each fault at its full length; implied by --minutes"
    )
    given = words.parse_args()
    names = (
        list(FAULTS)
        if given.fault == "all"
        else [name for name in given.fault.split(",") if name] or list(SHORT)
    )
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        words.error(f"{', '.join(unknown)}: no such fault; there are {', '.join(FAULTS)}")
    lines: list[Line] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    options = Options(seed=given.seed, rate=given.rate, long=given.long or given.minutes > 0)
    end = time.monotonic() + given.minutes * 60
    try:
        with running(options) as chaos:
            while True:
                for name in names:
                    lines.append(chaos.phase(FAULTS[name]))
                    say(f"{name}: {lines[-1].verdict}\n{table(lines[-1:])}")
                if time.monotonic() >= end:
                    break
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    finally:
        if lines:
            print(table(lines))
            print(f"written to {write_json(lines, RESULTS)}")
    return 0 if all(line.verdict == "ok" for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
