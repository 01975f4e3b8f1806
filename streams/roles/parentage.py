"""Makes a child process end with its parent."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ends this process when its parent ends.

    So a restarted parent does not get a second child. The kernel sends the signal when
    the parent's *thread* that started us ends. That is its main thread, which ends with
    it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before the signal was requested
        os._exit(1)
