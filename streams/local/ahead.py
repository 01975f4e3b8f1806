"""Builds the object store while the virtual environment is still being created:
`python -m streams.local.ahead`.

It imports only the standard library. `sensorium up` repeats what fails here, and reports it.
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
