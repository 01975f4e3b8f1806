"""The program `sensorium`.

Ctrl-C ends it with one line, also while its modules are still being read.
"""

import os
import signal
from types import FrameType


def aborted(_number: int, _frame: FrameType | None) -> None:
    """What click says of Ctrl-C, before click is there."""
    os.write(2, b"\nAborted!\n")
    os._exit(1)


def run() -> None:
    """Reads the commands, then gives Ctrl-C back to them: they have things to end."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, aborted)
        from streams.commands.main import main

        signal.signal(signal.SIGINT, signal.default_int_handler)
    else:  # ignored on purpose, as in the background of a shell
        from streams.commands.main import main
    main()


if __name__ == "__main__":
    run()
