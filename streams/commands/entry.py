"""The entry point of the program `sensorium`.

Ctrl-C ends it with one line, even while its modules are still being imported.
"""

import os
import signal
from types import FrameType


def aborted(_number: int, _frame: FrameType | None) -> None:
    """Ends the process on Ctrl-C as click does, before click is imported."""
    os.write(2, b"\nAborted!\n")
    os._exit(1)


def run() -> None:
    """Imports the commands, then restores the handling of Ctrl-C, because commands
    clean up when they end.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, aborted)
        from streams.commands.main import main

        signal.signal(signal.SIGINT, signal.default_int_handler)
    else:  # SIGINT is ignored on purpose, as for a shell's background job
        from streams.commands.main import main
    main()


if __name__ == "__main__":
    run()
