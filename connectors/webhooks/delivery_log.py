"""Writes the counts of deliveries into Postgres without delaying the receiver."""

import asyncio
import math
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter

import asyncpg
import msgspec
import structlog

from connectors.webhooks.deliveries import Count, Deliveries, DeliveryBucket
from storage.background import retry_forever
from storage.postgres.lock_order import in_lock_order
from storage.postgres.pool import unavailable
from storage.postgres.sql import queries

log = structlog.get_logger()
TICK_SECONDS = 1.0
MAX_ROWS = 500
"""Rows written per tick, however many endpoints receive deliveries."""
KEPT_DAYS = 30
KEPT_STRANGERS = 200
TIDY_SECONDS = 600.0
LAST_SECONDS = 2.0
_EPOCH = date(1970, 1, 1)


class DeliveryLog:
    """The task that writes the counts.

    While Postgres cannot be reached, the counts wait in memory, where they are bounded.
    """

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        deliveries: Deliveries,
        *,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._pool = pool
        self._deliveries = deliveries
        self._max_rows = max_rows
        self._worked_at = -math.inf
        self._tidied_at = -math.inf

    async def run(self) -> None:
        """Runs until it is cancelled, whatever Postgres answers."""
        await retry_forever(self._write_for_ever, self._failed, lambda: self._worked_at)

    async def finish(self) -> None:
        """Writes the remaining counts, for at most LAST_SECONDS, because the role is ending."""
        try:
            async with asyncio.timeout(LAST_SECONDS):
                while await self.write(at_once=True):
                    pass
        except Exception as error:
            self._failed(error)

    async def write(self, *, at_once: bool = False) -> int:
        """Writes the counts that are due, and returns the number of rows.

        Keeps them on an error.
        """
        counts = self._deliveries.due(self._max_rows, at_once=at_once)
        if not counts:
            return 0
        try:
            await self._pool.execute(queries("deliveries")["add_deliveries"], *_columns(counts))
        except BaseException:
            self._deliveries.put_back(counts)
            raise
        self._deliveries.written(counts)
        return len(counts)

    async def tidy(self) -> None:
        """Deletes the rows of old days, and the older rows of unknown tokens."""
        statements = queries("deliveries")
        await self._pool.execute(statements["forget_old"], timedelta(days=KEPT_DAYS))
        await self._pool.execute(statements["forget_strangers"], KEPT_STRANGERS)

    async def _write_for_ever(self) -> None:
        while True:
            if await self.write():
                self._worked_at = time.monotonic()
            if time.monotonic() - self._tidied_at > TIDY_SECONDS:
                await self.tidy()
                self._tidied_at = self._worked_at = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)

    def _failed(self, error: Exception) -> None:
        away = unavailable(error) is not None or isinstance(error, TimeoutError)
        log.warning(
            "delivery_log_not_written",
            what=type(error).__name__,
            exc_info=None if away else error,
        )


def _columns(counts: Sequence[tuple[DeliveryBucket, Count]]) -> tuple[list[object], ...]:
    ordered = in_lock_order(counts, itemgetter(0))
    return (
        [place.tenant_id for place, _ in ordered],
        [place.endpoint_id for place, _ in ordered],
        [_EPOCH + timedelta(days=place.day) for place, _ in ordered],
        [place.reason for place, _ in ordered],
        [place.secret_id for place, _ in ordered],
        [count.deliveries for _, count in ordered],
        [_moment(count.first_at) for _, count in ordered],
        [_moment(count.last_at) for _, count in ordered],
        [count.status for _, count in ordered],
        [msgspec.json.encode(count.facts).decode() for _, count in ordered],
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
