"""Removals of tenants that people began in the console, as rows.

A restart loses none. The process that deletes a tenant's data holds its removal, and
renews the hold while it works.
"""

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg

from schemas.keys import TenantId
from storage.postgres.pool import as_unavailable
from storage.postgres.sql import queries

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
REMOVAL_HOLD_SECONDS = 60.0
"""A process that has not renewed its hold of a removal for this long loses it.

If it works on nevertheless, two processes delete the same rows, which harms nothing.
"""


@dataclass(frozen=True, slots=True)
class HeldRemoval:
    """A removal that this process works on, with the counts so far by kind."""

    tenant_id: TenantId
    person: str
    holder: str
    deleted: dict[str, int] = field(default_factory=dict)


async def begin_removal(connection: Connection, tenant: TenantId, person: str) -> None:
    """Records that the data of a tenant is to be deleted.

    The caller removes the tenant in the same transaction.
    """
    await connection.execute(queries("tenant_removals")["begin_removal"], tenant, person)


class TenantRemovals:
    """Uses a pool. Raises Unavailable while Postgres cannot be reached."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool
        self._sql = queries("tenant_removals")

    async def removed(self, most: int) -> list[dict[str, Any]]:
        """The tenants that were removed last, with what became of their data."""
        rows = await self._fetch("removed_tenants", most)
        return [dict(row) | {"deleted": json.loads(row["deleted"] or "{}")} for row in rows]

    async def hold(self, holder: str) -> HeldRemoval | None:
        """Takes hold of a removal that has not ended and nobody holds, or returns None."""
        rows = await self._fetch("hold_removal", holder, REMOVAL_HOLD_SECONDS)
        if not rows:
            return None
        row = rows[0]
        deleted = json.loads(row["deleted"])
        return HeldRemoval(TenantId(row["tenant_id"]), row["person"], row["holder"], deleted)

    async def renew(self, held: HeldRemoval, deleted: dict[str, int]) -> bool:
        """Keeps the hold. Returns False if another process has the removal now."""
        place = (held.tenant_id, held.holder, json.dumps(deleted))
        return bool(await self._fetch("renew_removal", *place, REMOVAL_HOLD_SECONDS))

    async def finish(self, held: HeldRemoval, deleted: dict[str, int]) -> None:
        await self._fetch("finish_removal", held.tenant_id, held.holder, json.dumps(deleted))

    async def let_go(
        self, held: HeldRemoval, deleted: dict[str, int], trouble: str = "", seconds: float = 0.0
    ) -> None:
        """Releases the removal. A process may hold it again after `seconds`."""
        place = (held.tenant_id, held.holder, json.dumps(deleted))
        await self._fetch("let_removal_go", *place, trouble[:200], seconds)

    async def _fetch(self, name: str, *arguments: Any) -> Any:
        with as_unavailable():
            return await self._pool.fetch(self._sql[name], *arguments)
