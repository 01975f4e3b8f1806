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

MOST_COUNTED = 5_000
"""How many of the newest records are counted if a complete count is slow and none is cached."""
FEWEST_COUNTED = 20
"""At least this many are counted per tenant if MOST_COUNTED is shared by several tenants."""
MOST_CAUSES = 2_000
"""How many causes are kept for a page of several tenants, those with the most files first."""
WAIT_SECONDS = 0.12
AGAIN_SECONDS = 30.0
"""A slow complete count is cached for this long and not started again before.

This holds for one that failed after a while, too: it would fail again.
"""
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
        self._counts: dict[K, FailureCounts] = {}
        self._failed: dict[K, float] = {}
        self._running: dict[K, asyncio.Task[FailureCounts]] = {}

    async def of(self, key: K) -> FailureCounts:
        """Returns the best count that is available quickly. Raises Unavailable and Busy."""
        latest = self._counts.get(key)
        if latest is not None and time.monotonic() - latest.began < AGAIN_SECONDS:
            return latest
        if time.monotonic() - self._failed.get(key, -AGAIN_SECONDS) >= AGAIN_SECONDS:
            counting = self._running.get(key) or self._start(key)
            done, _ = await asyncio.wait({counting}, timeout=WAIT_SECONDS)
            if done:
                return counting.result()
        if latest is not None:
            return latest
        return FailureCounts(await self._newest(key), None)

    def _start(self, key: K) -> "asyncio.Task[FailureCounts]":
        began = time.monotonic()
        counting = asyncio.create_task(self._all(key), name="count of failures")
        self._running[key] = counting
        counting.add_done_callback(lambda task: self._ended(key, task, began))
        return counting

    async def _all(self, key: K) -> FailureCounts:
        began, counted_at = time.monotonic(), datetime.now(UTC)
        counts = FailureCounts(await self._every(key), counted_at, time.monotonic())
        self._counts.pop(key, None)
        if time.monotonic() - began > WAIT_SECONDS:
            self._counts[key] = counts
            _shorten(self._counts)
        return counts

    def _ended(self, key: K, task: "asyncio.Task[FailureCounts]", began: float) -> None:
        """Passes the error to a request that still waits.

        The next page counts again, but not soon if it took long to fail.
        """
        self._running.pop(key, None)
        self._failed.pop(key, None)
        has_failed = not task.cancelled() and isinstance(task.exception(), Unavailable | Busy)
        if has_failed and time.monotonic() - began > WAIT_SECONDS:
            self._failed[key] = time.monotonic()
            _shorten(self._failed)


def _shorten(remembered: dict[K, Any]) -> None:
    if len(remembered) > MOST_KEPT:
        remembered.pop(next(iter(remembered)))


def failure_counter(reading: PageReading) -> PatientCounter[TenantId]:
    """Counts the failed files of a tenant."""

    async def every(tenant_id: TenantId) -> list[Any]:
        return await reading.count("all_failed_files", tenant_id)

    async def newest(tenant_id: TenantId) -> list[Any]:
        return await reading.fetch("failed_files", tenant_id, MOST_COUNTED)

    return PatientCounter(every, newest)


def failures_of_tenants(reading: PageReading) -> PatientCounter[Tenants]:
    """Counts the failed files of several tenants, grouped by tenant."""

    async def every(tenants: Tenants) -> list[Any]:
        return await reading.count("all_failed_files_of_tenants", list(tenants), MOST_CAUSES)

    async def newest(tenants: Tenants) -> list[Any]:
        return await reading.fetch_of_tenants(
            "failed_files_of_tenants", tenants, MOST_CAUSES, share_of(tenants)
        )

    return PatientCounter(every, newest)


def refusal_counter(reading: PageReading) -> PatientCounter[TenantId]:
    """Counts the quarantined records of a tenant."""

    async def every(tenant_id: TenantId) -> list[Any]:
        return await reading.count("quarantined_by_reason", tenant_id, None)

    async def newest(tenant_id: TenantId) -> list[Any]:
        return await reading.fetch("quarantined_by_reason", tenant_id, MOST_COUNTED)

    return PatientCounter(every, newest)


def refusals_of_tenants(reading: PageReading) -> PatientCounter[Tenants]:
    """Counts the quarantined records of several tenants, grouped by tenant."""

    async def every(tenants: Tenants) -> list[Any]:
        return await reading.count("quarantined_of_tenants", list(tenants), MOST_CAUSES, None)

    async def newest(tenants: Tenants) -> list[Any]:
        return await reading.fetch_of_tenants(
            "quarantined_of_tenants", tenants, MOST_CAUSES, share_of(tenants)
        )

    return PatientCounter(every, newest)


def share_of(tenants: Tenants) -> int:
    """Returns how many of the newest records are counted per tenant."""
    return max(FEWEST_COUNTED, MOST_COUNTED // max(1, len(tenants)))
