"""A child process that does not outlive its parent."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """A child without its parent would be one too many as soon as the parent is started again.

    The kernel sends the signal when the parent's *thread* that started us ends: its main thread, which ends with it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask for the signal
        os._exit(1)
