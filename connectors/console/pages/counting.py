"""Counts that a page does not wait for.

A page shows a complete count if that is quick, otherwise the last complete count,
otherwise a count of the newest records only.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from connectors.console.pages.reading import PageReading
from connectors.console.tenant_queue import Busy
from schemas.keys import TenantId
from schemas.outcomes import Unavailable

MOST_COUNTED = 20_000
"""How many of the newest records are counted if a complete count is slow and none is cached."""
FEWEST_COUNTED = 20
"""At least this many are counted per tenant if MOST_COUNTED is shared by several tenants."""
MOST_CAUSES = 2_000
"""How many causes are kept for a page of several tenants, those with the most files first."""
WAIT_SECONDS = 0.12
AGAIN_SECONDS = 30.0
"""A slow complete count is cached for this long and not started again before."""
COUNTS_AT_ONCE = 2
MOST_KEPT = 1_000
K = TypeVar("K", bound=Hashable)
CountRows = Callable[[K], Awaitable[list[Any]]]
Tenants = tuple[TenantId, ...]


@dataclass(frozen=True, slots=True)
class FailureCounts:
    """The result of a count.

    `counted_at` is the time of a complete count, or None for a partial one.
    """

    rows: list[Any]
    counted_at: datetime | None
    began: float = 0.0


class PatientCounter(Generic[K]):
    """Counts for the pages of one console.

    A count that outlasts its page is cached for the next one. `every` counts everything
    for a key and may be slow; `newest` counts a part and is quick.
    """

    def __init__(self, every: CountRows[K], newest: CountRows[K]) -> None:
        self._every, self._newest = every, newest
        self._kept: dict[K, FailureCounts] = {}
        self._running: dict[K, asyncio.Task[FailureCounts]] = {}
        self._turns = asyncio.Semaphore(COUNTS_AT_ONCE)

    async def of(self, key: K) -> FailureCounts:
        """Returns the best count that is available quickly. Raises Unavailable and Busy."""
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept.began < AGAIN_SECONDS:
            return kept
        counting = self._running.get(key)
        if counting is None:
            counting = asyncio.create_task(self._all(key), name="count of failures")
            self._running[key] = counting
            counting.add_done_callback(lambda task: self._ended(key, task))
        done, _ = await asyncio.wait({counting}, timeout=WAIT_SECONDS)
        if done:
            return counting.result()
        if kept is not None:
            return kept
        return FailureCounts(await self._newest(key), None)

    async def _all(self, key: K) -> FailureCounts:
        async with self._turns:
            began, counted_at = time.monotonic(), datetime.now(UTC)
            rows = await self._every(key)
        counts = FailureCounts(rows, counted_at, time.monotonic())
        self._kept.pop(key, None)
        if time.monotonic() - began > WAIT_SECONDS:
            self._kept[key] = counts
            if len(self._kept) > MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
        return counts

    def _ended(self, key: K, task: "asyncio.Task[FailureCounts]") -> None:
        """Passes the error to a request that still waits; otherwise the next page counts again."""
        self._running.pop(key, None)
        if not task.cancelled() and isinstance(task.exception(), Unavailable | Busy):
            self._kept.pop(key, None)


def failure_counter(reading: PageReading) -> PatientCounter[TenantId]:
    """Counts the failed files of a tenant."""

    async def every(tenant_id: TenantId) -> list[Any]:
        return await reading.fetch("all_failed_files", tenant_id)

    async def newest(tenant_id: TenantId) -> list[Any]:
        return await reading.fetch("failed_files", tenant_id, MOST_COUNTED)

    return PatientCounter(every, newest)


def failures_of_tenants(reading: PageReading) -> PatientCounter[Tenants]:
    """Counts the failed files of several tenants, grouped by tenant."""

    async def every(tenants: Tenants) -> list[Any]:
        return await reading.fetch_of_tenants("all_failed_files_of_tenants", tenants, MOST_CAUSES)

    async def newest(tenants: Tenants) -> list[Any]:
        return await reading.fetch_of_tenants(
            "failed_files_of_tenants", tenants, MOST_CAUSES, share_of(tenants)
        )

    return PatientCounter(every, newest)


def share_of(tenants: Tenants) -> int:
    """Returns how many of the newest records are counted per tenant."""
    return max(FEWEST_COUNTED, MOST_COUNTED // max(1, len(tenants)))
