"""Places where a test makes the process die or stand still.

In production none is armed and each costs a look-up.

SENSORIUM_FAILPOINT is one of
    <place>:<n>         SIGKILL when the place is reached for the n-th time
    <place>:<n>:stop    SIGSTOP there, until somebody wakes it
    read:<text>         SIGKILL when a record that holds the
    text is read, as a body would that crashes a decoder
"""

import os
import signal
from collections.abc import Callable

_VARIABLE = "SENSORIUM_FAILPOINT"
_armed = os.environ.pop(_VARIABLE, "")
_name, _, _argument = _armed.partition(":")
_count, _, _action = _argument.partition(":")
_left = int(_count or 1) if _name not in ("", "read") else 0
_marker = _argument.encode() if _name == "read" else b""


def inherited() -> dict[str, str]:
    """What a child must find in its environment to be armed as this process was started.

    Here it is taken out: it is no setting.
    """
    return {_VARIABLE: _armed} if _armed else {}


def reached(name: str, first: Callable[[], object] = lambda: None) -> None:
    """Dies or stands still here if this place is armed and its count is used up.

    `first` makes what was done before it leave the process: it
    would otherwise die with it, and nobody would have to clean up.
    """
    global _left
    if name == _name:
        _left -= 1
        if _left == 0:
            first()
            os.kill(os.getpid(), signal.SIGSTOP if _action == "stop" else signal.SIGKILL)


def reading(value: bytes | None) -> None:
    """Dies here if the record is the one that kills its reader."""
    if _marker and value is not None and _marker in value:
        _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
