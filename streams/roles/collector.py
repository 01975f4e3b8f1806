"""Python's garbage collector in a process that works record by record."""

import gc


def collect_rarely(young: int, middle: int, old: int) -> None:
    """Keeps what was imported out of the collector, and lets it look less often at what records make.

    Else each full collection looks at all modules again, and the process stands still for
    it: 40 ms in a stage, measured. What is made for a record or a request is freed
    without the collector, which only looks for cycles. The thresholds are `gc.set_threshold`'s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, middle, old)
