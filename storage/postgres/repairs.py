"""Repairs as rows: planned, running with their progress, done or cancelled.

A restart loses none. The process that works on a repair holds it. It records the
current portion (the intent) before writing it to Kafka, and settles it afterwards.
"""

import secrets
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from schemas.keys import TenantId
from storage.postgres.lock_order import columns, in_lock_order
from storage.postgres.people import EVERY_TENANT
from storage.postgres.pool import as_unavailable
from storage.postgres.repair_plans import (
    Counted,
    HeldRepair,
    Intent,
    PlanLine,
    RepairChoice,
    RepairError,
    RepairKind,
    RepairLost,
    RepairRequest,
)
from storage.postgres.sql import queries

PLAN_SECONDS = 15 * 60.0
MOST_COUNTED = 1_000_000
MOST_TRIES = 3
"""A record is set aside after this many tries, as another one would fail too."""
MOST_RARE = 2_000
"""A reason that no more messages have is found by the index of attachments."""
HOLD_SECONDS = 60.0
"""A process that has not renewed its hold of a repair for this long loses it.

It is longer than the watcher of a dead process takes to end its transaction, so that
the watcher cannot fence the process that continues.
"""
MOST_BYTES = 8 * 1024 * 1024
"""A portion of quarantined records ends with the record that reaches this size."""


class Repairs:
    """Uses a pool. Raises Unavailable while Postgres cannot be reached."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool
        self._sql = {**queries("repairs"), **queries("causes")}

    async def count_failed(self, request: RepairRequest) -> Counted:
        """Counts the files that failed for the reason, with the cost of new tries."""
        reason = request.choice.reason
        rows: list[Any] = []
        if "\0" not in reason:  # no text in Postgres can contain it
            name = await self._by_cause("count", request.tenant_id, reason)
            how = (MOST_COUNTED, MOST_TRIES, request.choice.leaves_gone, request.choice.limit)
            rows = await self._fetch(name, request.tenant_id, reason, *how)
        files: dict[str, int] = {}
        for row in rows:
            if _becomes(row) == "again":
                files[row["type"]] = files.get(row["type"], 0) + row["files"]
        paid = await self._fetch("call_cost", request.tenant_id)
        costs = {row["kind"]: row["microusd"] for row in paid}
        lines = tuple(
            PlanLine(
                row["tenant_id"],
                reason,
                row["type"] or "other",
                row["files"],
                _becomes(row),
                row["messages"],
            )
            for row in rows
        )
        messages = sum(row["messages"] for row in rows if _becomes(row) == "again")
        return Counted(
            messages,
            lines,
            request.choice,
            files,
            _cost(files, costs),
            sum(row["files"] for row in rows if not row["is_redoable"]),
            is_whole=sum(row["messages"] for row in rows) < MOST_COUNTED,
        )

    async def count_quarantined(self, request: RepairRequest) -> Counted:
        """Counts the chosen records in quarantine, and what can become of them."""
        choice = request.choice
        name, chosen = self._quarantined("count_quarantined", request.tenant_id, choice)
        if choice.place is None:
            chosen = (*chosen, MOST_TRIES)
        rows = await self._fetch(name, request.tenant_id, *chosen)
        lines = tuple(
            PlanLine(
                row["tenant_id"],
                row["reason"],
                row["stage"],
                row["records"],
                row["becomes"],
                place=row["place"],
            )
            for row in rows
        )
        last = max((row["last_at"] for row in rows), default=None)
        return Counted(
            sum(line.records for line in lines if line.becomes == "again"),
            lines,
            msgspec.structs.replace(choice, until=last),
        )

    async def cost_of(self, tenants: Sequence[str], keys: Sequence[str]) -> tuple[int, int, int]:
        """The cost of the recorded answers about files of these messages.

        Returns (answers, answers without a known price, micro-dollars).
        """
        with as_unavailable():
            (row,) = await self._pool.fetch(queries("overview")["paid_for"], tenants, keys)
        return row["answers"], row["unpriced"], row["microusd"]

    async def add(self, request: RepairRequest, counted: Counted) -> str:
        """Stores the plan for a quarter of an hour, and notes it in the audit log.

        Raises RepairError if there is nothing to do. A plan whose files are all gone is
        stored, because it says so.
        """
        if not counted.records and not counted.gone:
            raise RepairError("repair.nothing")
        repair_id = f"rep_{secrets.token_hex(8)}"
        document = msgspec.structs.replace(counted, choice=RepairChoice())
        choice = msgspec.json.encode(counted.choice).decode()
        files = msgspec.json.encode(document).decode()
        what = (request.tenant_id, repair_id, request.kind, choice, counted.choice.reason)
        how = (request.person, counted.records, files, request.rate, PLAN_SECONDS)
        with as_unavailable():
            async with self._pool.acquire() as connection, connection.transaction():
                planned = await connection.fetch(self._sql["add_repair"], *what, *how)
                await self._record(connection, "repair_planned", planned[0], request.person)
        return repair_id

    async def one(self, tenant_id: TenantId, repair_id: str) -> dict[str, Any] | None:
        """A repair with `files` (Counted) and `choice` decoded, or None."""
        if "\0" in repair_id:
            return None
        rows = await self._fetch("repair", tenant_id, repair_id)
        return _decoded(rows[0]) if rows else None

    async def latest(self, tenant_id: TenantId) -> list[dict[str, Any]]:
        return [
            dict(row) | {"choice": msgspec.json.decode(row["choice"], type=RepairChoice)}
            for row in await self._fetch("repairs_of", tenant_id)
        ]

    async def apply(
        self,
        tenant_id: TenantId,
        repair_id: str,
        generation: int,
        who: str,
        rate: float | None = None,
        holder: str = "",
    ) -> None:
        """Starts a planned repair, with or without a holder, and records that in the audit log.

        Raises RepairError if the plan has expired or was applied, or while another
        repair of the tenant is running. In the latter case the error also has that
        repair's id, and whether it is the same repair and nobody holds it.
        """
        with as_unavailable():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.fetch(self._sql["lock_repairs"], tenant_id)
                under_way = await connection.fetch(self._sql["under_way"], tenant_id, repair_id)
                if under_way:
                    other = under_way[0]
                    may_continue = other["is_free"] and other["is_same"]
                    raise RepairError("repair.cannot_begin", other["repair_id"], may_continue)
                arguments = (tenant_id, repair_id, generation, rate, holder, HOLD_SECONDS)
                rows = await connection.fetch(self._sql["apply_repair"], *arguments)
                if not rows:
                    raise RepairError("repair.cannot_begin")
                await self._record(connection, "repair_applied", rows[0], who)

    async def cancel(self, tenant_id: TenantId, repair_id: str, who: str) -> None:
        """Cancels a repair and notes that in the audit log. Raises RepairError if it has ended."""
        with as_unavailable():
            async with self._pool.acquire() as connection, connection.transaction():
                ended = await connection.fetch(self._sql["cancel_repair"], tenant_id, repair_id)
                if not ended:
                    raise RepairError("repair.is_over")
                await self._record(connection, "repair_cancelled", ended[0], who)

    async def _record(self, connection: Any, action: str, row: Any, who: str) -> None:
        """Writes an audit log entry that names no customer."""
        choice = msgspec.json.decode(row["choice"], type=RepairChoice)
        chosen = " ".join(filter(None, (choice.stage, row["reason"], *choice.spans)))
        detail = f"{row['repair_id']} {row['kind']} {chosen[:300]}: {row['messages']} records"
        await connection.fetch(
            queries("people")["write_audit"], row["tenant_id"], action, detail, who
        )

    async def hold(self, holder: str, repair_id: str | None = None) -> HeldRepair | None:
        """Takes hold of a running repair that no process holds.

        That is `repair_id`, or any repair if no id is given.
        """
        rows = await self._fetch("hold_repair", HOLD_SECONDS, holder, repair_id)
        if not rows:
            return None
        row = dict(rows[0])
        row["choice"] = msgspec.json.decode(row["choice"], type=RepairChoice)
        if not row["choice"].reason:
            row["choice"] = msgspec.structs.replace(row["choice"], reason=row["reason"])
        if row["intent"] is not None:
            row["intent"] = msgspec.json.decode(row["intent"], type=Intent)
        return HeldRepair(**row)

    async def following(self, held: HeldRepair, most: int) -> Intent | None:
        """The next portion of failed files or quarantined records, or None."""
        if held.choice.limit:
            most = min(most, held.choice.limit - (held.looked - held.set_aside))
        if most <= 0:
            return None
        rows = await (self._next_failed if held.kind == "attachments" else self._next_quarantined)(
            held, most
        )
        if not rows:
            return None
        again = [row for row in rows if row["tries"] < MOST_TRIES]
        last = rows[-1]
        is_failed = held.kind == "attachments"
        return Intent(
            held.portion + 1,
            tuple(_failed_item(row, held.reason) if is_failed else _item(row) for row in again),
            len(rows),
            last["received_at"] if is_failed else last["created_at"],
            last["message_key"] if is_failed else last["place"],
            set_aside=len(rows) - len(again),
        )

    async def _by_cause(self, verb: str, tenant_id: TenantId, reason: str) -> str:
        """Names the statement that finds this reason quickly, by how frequent it is."""
        # No row is returned for a reason that Postgres cannot take as text.
        rows = await self._fetch("cause_found", tenant_id, reason, MOST_RARE + 1)
        if not rows or rows[0]["found"] <= MOST_RARE:
            return f"{verb}_rare_failed"
        return self._of(f"{verb}_failed", tenant_id)

    async def _next_failed(self, held: HeldRepair, most: int) -> list[Any]:
        name = await self._by_cause("next", held.tenant_id, held.reason)
        done = (held.began_at, held.done_at, held.done_key)
        leaves_gone = held.choice.leaves_gone
        return list(await self._fetch(name, held.tenant_id, held.reason, *done, most, leaves_gone))

    async def _next_quarantined(self, held: HeldRepair, most: int) -> list[Any]:
        name, chosen = self._quarantined("next_quarantined", held.tenant_id, held.choice)
        until = held.choice.until or held.began_at
        rows = await self._fetch(
            name, held.tenant_id, *chosen, until, held.done_at, held.done_key, most
        )
        taken, size = [], 0
        for row in rows:
            taken.append(row)
            size += row["bytes"]
            if size >= MOST_BYTES:
                break
        return taken

    async def intend(self, held: HeldRepair, intent: Intent) -> bool:
        """Records the portion that is about to be written.

        Returns False if the repair was cancelled or another process holds it.
        """
        document = msgspec.json.encode(intent).decode()
        rows = await self._fetch(
            "intend",
            held.tenant_id,
            held.repair_id,
            held.holder,
            document,
            held.portion,
            HOLD_SECONDS,
        )
        return bool(rows)

    async def settle(self, held: HeldRepair, intent: Intent) -> None:
        """Records that the portion is in Kafka. Raises RepairLost.

        It moves the position of the repair, marks the records that were sent again, and
        counts their tries.
        """
        with as_unavailable():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(queries("sink")["removal_lock"])
                rows = await connection.fetch(
                    self._sql["settle"],
                    held.tenant_id,
                    held.repair_id,
                    held.holder,
                    intent.number,
                    intent.looked,
                    intent.redone,
                    intent.set_aside,
                    intent.after_at,
                    intent.after_key,
                    HOLD_SECONDS,
                )
                if not rows:
                    raise RepairLost
                await self._note(connection, held.kind, intent)
        for name, value in dict(rows[0]).items():
            setattr(held, name, value)
        held.intent = None

    async def _note(self, connection: Any, kind: RepairKind, intent: Intent) -> None:
        if kind != "raw" and intent.items:
            tried = in_lock_order(dict.fromkeys(item[:3] for item in intent.items))
            await connection.fetch(self._sql["note_tries"], *columns(tried))
        places = (*intent.items, *intent.old)
        if kind == "quarantine" and places:
            marked = in_lock_order(item[3:] for item in places)
            await connection.fetch(self._sql["mark_replayed"], *columns(marked))

    async def finish(self, held: HeldRepair) -> None:
        await self._fetch("finish_repair", held.tenant_id, held.repair_id, held.holder)
        held.state = "done"

    async def let_go(self, held: HeldRepair, trouble: str = "", seconds: float = 0.0) -> None:
        """Releases the repair. Another process may hold it after `seconds`."""
        await self._fetch(
            "let_go", held.tenant_id, held.repair_id, held.holder, trouble[:200], seconds
        )

    @staticmethod
    def _of(name: str, tenant_id: TenantId) -> str:
        return f"{name}_everywhere" if tenant_id == EVERY_TENANT else name

    def _quarantined(
        self, name: str, tenant_id: TenantId, choice: RepairChoice
    ) -> tuple[str, tuple[Any, ...]]:
        """The name of the statement, and its arguments."""
        if choice.place is not None:
            return self._of(f"{name}_at", tenant_id), choice.place
        return self._of(name, tenant_id), (choice.stage or None, choice.reason or None)

    async def _fetch(self, name: str, *arguments: Any) -> Any:
        with as_unavailable():
            return await self._pool.fetch(self._sql[name], *arguments)


def _decoded(row: Any) -> dict[str, Any]:
    """The row with decoded documents, including those of plans by older programs.

    Such a plan has no choice and no lines.
    """
    document = {"records": row["messages"], "lines": [], "choice": {}} | msgspec.json.decode(
        row["files"]
    )
    return dict(row) | {
        "files": msgspec.convert(document, Counted),
        "choice": msgspec.json.decode(row["choice"], type=RepairChoice),
    }


def _becomes(row: Any) -> str:
    if not row["is_redoable"]:
        return "without"
    if row["is_gone"]:
        return "gone"
    return "set_aside" if row["is_set_aside"] else "again"


def _failed_item(row: Any, reason: str) -> tuple[str | int, ...]:
    return row["tenant_id"], row["message_key"], reason


def _item(row: Any) -> tuple[str | int, ...]:
    """The columns by which tries are counted, then those of the record's place."""
    return (
        row["tenant_id"],
        row["record_key"],
        row["tried"],
        *(row[name] for name in ("stage", "topic", "partition", "offset", "topic_id")),
    )


def _cost(files: dict[str, int], costs: dict[str, float | None]) -> int | None:
    """The expected cost of the calls, or None if a recent cost is unknown."""
    total = 0.0
    for type_, count in files.items():
        each = costs.get("transcribe" if type_ == "audio" else "describe")
        if each is None:
            return None
        total += each * count
    return round(total)
