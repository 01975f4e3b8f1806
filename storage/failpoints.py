"""Places where a test makes the process die or stop.

In production none is armed, and each costs one comparison.

SENSORIUM_FAILPOINT is one of
    <place>:<n>         SIGKILL when the place is reached for the n-th time
    <place>:<n>:stop    SIGSTOP there, until SIGCONT
    read:<text>         SIGKILL when a record that contains the text is read,
                        as if its body crashed a decoder
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
    """The environment variable that arms a child process as this process was armed.

    This process has removed it from its own environment, because it is not a setting.
    """
    return {_VARIABLE: _armed} if _armed else {}


def reached(name: str, first: Callable[[], object] = lambda: None) -> None:
    """Ends or stops the process here if this place is armed and its count is used up.

    `first` flushes what was done before, which would otherwise be lost with the process
    and leave nothing to recover from.
    """
    global _left
    if name == _name:
        _left -= 1
        if _left == 0:
            first()
            os.kill(os.getpid(), signal.SIGSTOP if _action == "stop" else signal.SIGKILL)


def reading(value: bytes | None) -> None:
    """Ends the process here if the record contains the armed text."""
    if _marker and value is not None and _marker in value:
        _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
