"""Counts failed files by cause: all of them where that is quick, else all as of a moment ago, else the newest."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.console.pages.reading import PageReading
from connectors.console.tenant_queue import Busy
from schemas.keys import TenantId
from schemas.outcomes import Unavailable

MOST_COUNTED = 20_000
"""So many of the newest failed messages are counted where all take too long and were not counted before."""
WAIT_SECONDS = 0.12
AGAIN_SECONDS = 30.0
"""A count that took longer than a page may is not begun again before."""
COUNTS_AT_ONCE = 2
MOST_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class FailureCounts:
    """Rows of `failed_files`. `counted_at`: all failed files as of then; None: the newest only."""

    rows: list[Any]
    counted_at: datetime | None
    began: float = 0.0


class FailureCounter:
    """For the pages of one console. A count that outlasts its page is kept for the next one."""

    def __init__(self, reading: PageReading) -> None:
        self._reading = reading
        self._kept: dict[TenantId, FailureCounts] = {}
        self._running: dict[TenantId, asyncio.Task[FailureCounts]] = {}
        self._turns = asyncio.Semaphore(COUNTS_AT_ONCE)

    async def of(self, tenant_id: TenantId) -> FailureCounts:
        """Raises Unavailable and Busy."""
        kept = self._kept.get(tenant_id)
        if kept is not None and time.monotonic() - kept.began < AGAIN_SECONDS:
            return kept
        counting = self._running.get(tenant_id)
        if counting is None:
            counting = asyncio.create_task(self._all(tenant_id), name="count of failures")
            self._running[tenant_id] = counting
            counting.add_done_callback(lambda task: self._ended(tenant_id, task))
        done, _ = await asyncio.wait({counting}, timeout=WAIT_SECONDS)
        if done:
            return counting.result()
        if kept is not None:
            return kept
        newest = await self._reading.fetch("failed_files", tenant_id, MOST_COUNTED)
        return FailureCounts(newest, None)

    async def _all(self, tenant_id: TenantId) -> FailureCounts:
        async with self._turns:
            began, counted_at = time.monotonic(), datetime.now(UTC)
            rows = await self._reading.fetch("all_failed_files", tenant_id)
        counts = FailureCounts(rows, counted_at, time.monotonic())
        self._kept.pop(tenant_id, None)
        if time.monotonic() - began > WAIT_SECONDS:
            self._kept[tenant_id] = counts
            if len(self._kept) > MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
        return counts

    def _ended(self, tenant_id: TenantId, task: "asyncio.Task[FailureCounts]") -> None:
        """A request that still waits gets the error. Otherwise the next page counts again."""
        self._running.pop(tenant_id, None)
        if not task.cancelled() and isinstance(task.exception(), Unavailable | Busy):
            self._kept.pop(tenant_id, None)
