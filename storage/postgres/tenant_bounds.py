"""Limits the arrivals and quarantined records of each tenant, so that none can fill the disk.

The oldest rows beyond the limit are deleted. Messages and files are never deleted here.
"""

import re

import asyncpg
import structlog

from schemas import metrics
from schemas.settings import RetentionSettings as Ages
from storage.postgres.block_walk import walk_blocks
from storage.postgres.sql import queries

log = structlog.get_logger()
_ARRIVALS = re.compile(r"arrival_records_(\d{8}|other)")


class TenantBounds:
    """Deletes the oldest arrivals and quarantined records beyond the limits."""

    def __init__(self, ages: Ages) -> None:
        self._ages = ages
        self._sql = queries("tenant_bounds")

    async def keep(self, connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
        """The number of deleted rows by table."""
        return {
            "arrival_records": await self._arrivals(connection),
            "quarantined_messages": await self._quarantined(connection),
        }

    async def _arrivals(self, connection: "asyncpg.Connection[asyncpg.Record]") -> int:
        """Deletes the oldest arrivals beyond the limit and returns the number of deleted rows.

        The excess comes from the statistics of each week's partition, because counting
        would read all arrivals. The rows of a week are stored in the order of their
        arrival, so its first blocks contain the oldest.
        """
        bound, gone = self._ages.arrivals_tenant_rows, 0
        if not bound:
            return 0
        for row in await connection.fetch(self._sql["crowded_arrivals"], bound):
            tenant, excess = row["tenant_id"], row["rows"] - bound
            deleted = await self._oldest_arrivals(connection, tenant, excess)
            self._report("arrival_records", tenant, deleted, bound)
            gone += deleted
        return gone

    async def _oldest_arrivals(
        self, connection: "asyncpg.Connection[asyncpg.Record]", tenant: str, excess: int
    ) -> int:
        gone = 0
        for week in await connection.fetch(self._sql["weeks"]):
            if gone >= excess:
                break
            name = week["name"]
            assert _ARRIVALS.fullmatch(name), name
            statement = self._sql["drop_arrivals"].format(week=name)
            gone += await walk_blocks(connection, name, statement, tenant, most=excess - gone)
            # With the old statistics, the next round would delete as many rows again.
            await connection.execute(self._sql["count_again"].format(week=name))
        return gone

    async def _quarantined(self, connection: "asyncpg.Connection[asyncpg.Record]") -> int:
        bound, gone = self._ages.quarantine_tenant_rows, 0
        if not bound:
            return 0
        for row in await connection.fetch(self._sql["crowded_quarantine"], bound):
            tenant = row["tenant_id"]
            newest = await connection.fetchval(self._sql["first_beyond"], tenant, bound)
            deleted = await walk_blocks(
                connection, "quarantined_messages", self._sql["drop_quarantined"], tenant, newest
            )
            self._report("quarantined_messages", tenant, deleted, bound)
            gone += deleted
        return gone

    @staticmethod
    def _report(table: str, tenant: str, rows: int, bound: int) -> None:
        log.warning("tenant_rows_dropped", table=table, tenant=tenant, rows=rows, bound=bound)
        metrics.RETENTION_BOUNDED.labels(table).inc(rows)
