"""Tunes Python's garbage collector for a process that works record by record."""

import gc


def collect_rarely(young: int, middle: int, old: int) -> None:
    """Excludes imported objects from garbage collection and makes collections less frequent.

    Otherwise each full collection visits all modules again and stops the process for
    that time, 40 ms in a stage as measured. What is allocated for a record or a request
    is freed by reference counting; the collector only finds cycles. The thresholds are
    those of `gc.set_threshold`.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, middle, old)
