"""Repairs as rows: planned, running with how far they are, done or cancelled. A restart loses none."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from schemas.keys import TenantId
from storage.postgres.pool import unavailable
from storage.postgres.sql import queries

PLAN_SECONDS = 15 * 60.0
MOST_COUNTED = 20_000
MOST_TRIES = 3
"""A message that was tried so often is set aside: another try would end the same way."""
HOLD_SECONDS = 60.0


class RepairError(Exception):
    """What was asked for cannot be; the text is a key of the pages' catalogue."""


@dataclass(frozen=True, slots=True)
class HeldRepair:
    """A running repair in this process's hands, and the last message it has tried."""

    tenant_id: TenantId
    repair_id: str
    reason: str
    generation: int
    began_at: datetime
    done_at: datetime
    done_key: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that a repair comes to; `tries` says how often one did before."""

    message_key: str
    received_at: datetime
    tries: int


class Repairs:
    """On a pool. Raises Unavailable while Postgres is away."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool
        self._sql = queries("repairs")

    async def plan(self, tenant_id: TenantId, reason: str, person: str) -> str:
        """Counts, and keeps the plan for a quarter of an hour. Raises RepairError for nothing to do."""
        rows = []
        if "\0" not in reason:  # no text in Postgres holds it
            rows = await self._fetch("count_failed", tenant_id, reason, MOST_COUNTED)
        files = {row["type"]: row["redoable"] for row in rows if row["redoable"]}
        if not files:
            raise RepairError("repair.nothing")
        costs = {row["kind"]: row["microusd"] for row in await self._fetch("call_cost", tenant_id)}
        document = {
            "files": files,
            "microusd": _cost(files, costs),
            "without": sum(row["files"] - row["redoable"] for row in rows),
        }
        repair_id = f"rep_{secrets.token_hex(8)}"
        await self._fetch(
            "add_repair",
            tenant_id,
            repair_id,
            reason,
            person,
            sum(row["messages"] for row in rows),
            msgspec.json.encode(document).decode(),
            PLAN_SECONDS,
        )
        return repair_id

    async def one(self, tenant_id: TenantId, repair_id: str) -> dict[str, Any] | None:
        if "\0" in repair_id:
            return None
        rows = await self._fetch("repair", tenant_id, repair_id)
        if not rows:
            return None
        return dict(rows[0]) | {"files": msgspec.json.decode(rows[0]["files"])}

    async def latest(self, tenant_id: TenantId) -> list[Any]:
        return list(await self._fetch("repairs_of", tenant_id))

    async def apply(self, tenant_id: TenantId, repair_id: str, generation: int) -> None:
        """Begins it. Raises RepairError for a plan that is over or applied, or while another runs."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.fetch(self._sql["lock_repairs"], tenant_id)
                begun = await connection.fetch(
                    self._sql["apply_repair"], tenant_id, repair_id, generation
                )
        except Exception as error:
            raise unavailable(error) or error from error
        if not begun:
            raise RepairError("repair.cannot_begin")

    async def cancel(self, tenant_id: TenantId, repair_id: str) -> None:
        if not await self._fetch("cancel_repair", tenant_id, repair_id):
            raise RepairError("repair.is_over")

    async def hold(self) -> HeldRepair | None:
        """A running repair that nobody else works on."""
        rows = await self._fetch("hold_repair", HOLD_SECONDS)
        return HeldRepair(*rows[0]) if rows else None

    async def following(self, held: HeldRepair, most: int) -> list[Candidate]:
        rows = await self._fetch(
            "next_failed",
            held.tenant_id,
            held.reason,
            held.began_at,
            held.done_at,
            held.done_key,
            most,
        )
        return [Candidate(*row) for row in rows]

    async def note_tries(self, held: HeldRepair, keys: Sequence[str]) -> None:
        """After they were tried: while Kafka is away nothing counts."""
        await self._fetch("note_tries", held.tenant_id, held.reason, list(keys))

    async def move(self, held: HeldRepair, seen: Sequence[Candidate], redone: int) -> None:
        last = seen[-1]
        set_aside = sum(one.tries >= MOST_TRIES for one in seen)
        await self._fetch(
            "move_repair",
            held.tenant_id,
            held.repair_id,
            len(seen),
            redone,
            set_aside,
            last.received_at,
            last.message_key,
        )

    async def finish(self, held: HeldRepair) -> None:
        await self._fetch("finish_repair", held.tenant_id, held.repair_id)

    async def trouble(self, held: HeldRepair, what: str) -> None:
        await self._fetch("trouble_repair", held.tenant_id, held.repair_id, what[:200])

    async def _fetch(self, name: str, *arguments: Any) -> Any:
        try:
            return await self._pool.fetch(self._sql[name], *arguments)
        except Exception as error:
            raise unavailable(error) or error from error


def _cost(files: dict[str, int], costs: dict[str, float | None]) -> int | None:
    """What the calls will cost, where every kind's cost is known from the last weeks."""
    total = 0.0
    for type_, count in files.items():
        each = costs.get("transcribe" if type_ == "audio" else "describe")
        if each is None:
            return None
        total += each * count
    return round(total)
