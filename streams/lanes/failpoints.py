"""Places where a test makes the process die. In production none is armed and `reached` costs one look-up.

SENSORIUM_FAILPOINT=<name>:<n> kills the process (SIGKILL) when the place is reached for the n-th time.
"""

import os
import signal

_name, _, _count = os.environ.pop("SENSORIUM_FAILPOINT", "").partition(":")
_left = int(_count or 1) if _name else 0


def reached(name: str) -> None:
    """Dies here if this place is armed and its count is used up."""
    global _left
    if name == _name:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
