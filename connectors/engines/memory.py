"""Returns memory to the system after a job, because glibc keeps what a large picture used."""

import ctypes
from collections.abc import Callable

_M_ARENA_MAX = -8
_ARENAS = 2


def memory_returner() -> Callable[[], None]:
    """The function to call after each job. With another C library it does nothing."""
    try:
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(_M_ARENA_MAX, _ARENAS)
        trim = library.malloc_trim
    except (OSError, AttributeError):
        return lambda: None
    return lambda: trim(0)
