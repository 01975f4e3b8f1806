"""Builds the object store while the venv is still being made: `python -m streams.local.ahead`.

It imports the standard library only. `sensorium up` tries again what fails here, and reports it.
"""

import sys
from contextlib import suppress

from streams.local import objects
from streams.local.processes import LocalError


def main() -> None:
    with suppress(LocalError):
        objects.built(objects.chosen(), lambda line: print(line, file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
