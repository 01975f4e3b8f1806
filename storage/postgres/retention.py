"""Deletes expired rows: each table has an age, and quarantined bodies a bound per tenant.

Arrivals expire one week at a time.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import structlog

from schemas import metrics
from schemas.settings import Postgres
from schemas.settings import RetentionSettings as Ages
from schemas.topics import Names
from storage.postgres.block_walk import changed_rows, walk_blocks
from storage.postgres.pool import connect_directly
from storage.postgres.sql import queries
from storage.postgres.tenant_bounds import TenantBounds

log = structlog.get_logger()
MINUTES_DAYS = 2.0
"""The console shows one day of these rows."""
WALK_EVERY_SECONDS = 3600.0
LOOK_EVERY_SECONDS = 60.0
"""The interval at which the bytes in quarantine are checked: a tenant can add many quickly."""
WEEKS_AHEAD = 4
"""The number of weeks for which partitions of arrivals are created in advance.

Rows of a week without a partition go to the default partition.
"""
PARTITION_LOCK_MS = 500
"""The longest time for which readers and writers of arrivals wait for a change of partitions.

A change that takes longer is given up and tried again later.
"""
MAKE_WEEKS_SECONDS = 20.0
"""The longest time that a sink waits for new partitions before it begins to write."""
WALKED = {"arrival_records": "arrival_records_other"}
"""Tables whose blocks belong to another relation."""


def days_of(ages: Ages, quarantine_days: float) -> Mapping[str, float]:
    """Maps each table to the days its rows are kept; 0 means for ever.

    Quarantined records are kept as long as those of their topic.
    """
    return {
        "arrival_records": ages.arrivals_days,
        "inbound_messages": ages.arrivals_days,
        "message_steps": ages.steps_days,
        "quarantined_messages": quarantine_days,
        "ai_results": ages.results_days,
        "ai_usage": ages.usage_days,
        "audit_log": ages.log_days,
        "stage_stops": ages.log_days,
        "repairs": ages.log_days,
        "stage_minutes": MINUTES_DAYS,
    }


class Retention:
    """Walks through each table from its first block to its last.

    So it needs no index, for which every write would pay.
    """

    def __init__(
        self, postgres: Postgres, names: Names, ages: Ages, quarantine_days: float
    ) -> None:
        self._postgres = postgres
        self._names = names
        self._ages = ages
        self._quarantine_days = quarantine_days
        self._bounds = TenantBounds(ages)
        self._sql = queries("retention")

    async def run(self) -> None:
        """Never returns. Only one of all processes that run this works at a time."""
        walk_at = 0.0
        while True:
            try:
                gone = await self.work(walks=time.monotonic() >= walk_at)
                if time.monotonic() >= walk_at:
                    walk_at = time.monotonic() + WALK_EVERY_SECONDS
                if any(gone.values()):
                    log.info("rows_expired", **gone)
            except Exception as error:  # any error: trying again loses nothing
                log.warning("retention_failed", error=type(error).__name__, detail=str(error)[:300])
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def make_weeks(self) -> None:
        """Creates the partitions that current arrivals will need, before any is written.

        Errors are logged; `run` tries again.
        """
        try:
            async with asyncio.timeout(MAKE_WEEKS_SECONDS):
                connection = await connect_directly(self._postgres, self._names, "retention")
                try:
                    if await connection.fetchval(self._sql["lead"]):
                        await self._make_weeks(connection)
                finally:
                    await connection.close()
        except Exception as error:  # any error: arrivals are accepted without the partitions
            log.warning("arrivals_week_waits", why=type(error).__name__, detail=str(error)[:300])

    async def _make_weeks(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        for week in range(WEEKS_AHEAD + 1):
            day = (datetime.now(UTC) + timedelta(weeks=week)).date()
            await self._alter_weeks(connection, self._sql["make_weeks"], day)

    async def work(self, *, walks: bool = True) -> dict[str, int]:
        """The number of deleted rows by table, and of quarantined records as `bodies`.

        The result is empty if another process is working.
        """
        connection = await connect_directly(self._postgres, self._names, "retention")
        try:
            if not await connection.fetchval(self._sql["lead"]):
                return {}
            gone = {"bodies": await self._drop_bodies(connection)}
            gone["arrival_records"] = await self._turn_weeks(connection)
            for table, days in days_of(self._ages, self._quarantine_days).items():
                if days and walks:
                    expired = await self._expire(connection, table, days)
                    gone[table] = gone.get(table, 0) + expired
                    metrics.RETENTION_ROWS.labels(table).inc(expired)
            if walks:
                for table, rows in (await self._bounds.keep(connection)).items():
                    gone[table] = gone.get(table, 0) + rows
                gone["repair_tries"] = await self._walk(connection, "repair_tries", "forget_tries")
            return gone
        finally:
            await connection.close()

    async def _expire(
        self, connection: "asyncpg.Connection[asyncpg.Record]", table: str, days: float
    ) -> int:
        before = datetime.now(UTC) - timedelta(days=days)
        return await self._walk(connection, table, f"expire_{table}", before)

    async def _walk(
        self,
        connection: "asyncpg.Connection[asyncpg.Record]",
        table: str,
        statement: str,
        *arguments: Any,
    ) -> int:
        return await walk_blocks(
            connection, WALKED.get(table, table), self._sql[statement], *arguments
        )

    async def _turn_weeks(self, connection: "asyncpg.Connection[asyncpg.Record]") -> int:
        """Creates the partitions of the next weeks and drops expired ones.

        Returns the approximate number of deleted rows.
        """
        gone, now = 0, datetime.now(UTC)
        await self._make_weeks(connection)
        if not self._ages.arrivals_days:
            return 0
        before = now - timedelta(days=self._ages.arrivals_days)
        for row in await connection.fetch(self._sql["old_weeks"], before):
            # The statement returns only names of letters, digits and underscores.
            if await self._alter_weeks(connection, f"DROP TABLE {row['name']}"):
                log.info("arrivals_dropped", week=row["name"], rows=row["rows"])
                gone += row["rows"]
        metrics.RETENTION_ROWS.labels("arrival_records").inc(gone)
        return gone

    async def _alter_weeks(
        self, connection: "asyncpg.Connection[asyncpg.Record]", statement: str, *arguments: Any
    ) -> bool:
        """True if the change was made. Otherwise it is tried again within a minute."""
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {PARTITION_LOCK_MS}")
                await connection.execute(statement, *arguments)
        except (
            asyncpg.LockNotAvailableError,
            asyncpg.DeadlockDetectedError,
            # Rows of that week are in the default partition.
            asyncpg.CheckViolationError,
            # There are too many of them to move while writers wait.
            asyncpg.QueryCanceledError,
            TimeoutError,
        ) as error:
            log.warning("arrivals_week_waits", why=type(error).__name__, detail=str(error)[:300])
            return False
        return True

    async def _drop_bodies(self, connection: "asyncpg.Connection[asyncpg.Record]") -> int:
        bound = self._ages.quarantine_tenant_bytes
        if not bound or await connection.fetchval(self._sql["quarantine_bytes"]) <= bound:
            return 0
        gone = 0
        for row in await connection.fetch(self._sql["heavy_tenants"], bound):
            dropped = changed_rows(
                await connection.execute(self._sql["drop_bodies"], row["tenant_id"], bound)
            )
            log.warning("quarantine_bodies_dropped", tenant=row["tenant_id"], records=dropped)
            gone += dropped
        return gone
