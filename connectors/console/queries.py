"""What the console reads from Postgres. Each query is for one tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from connectors.console.change_positions import ChangePosition, Edge, Moment
from connectors.console.tenant_queue import TenantQueue
from schemas.keys import TenantId, direct_conversation_id, is_conversation_id
from schemas.origins import origin_of
from storage.postgres.pool import as_unavailable
from storage.postgres.sql import queries

POOL_SHARE = 3
"""How many statements of one tenant run at once, out of the eight connections of the
console's pool.
"""
MOST_IN_LINE = 2_000
ANY_AGE_SECONDS = 100 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class ContextKey:
    """A message of a conversation, without its text. `stamp` changes whenever the row does.

    - `fits`: it is within the byte limit of a context, counted from the newest message.
    - `is_within`: it arrived in the requested time window.
    - `is_recent`: its images are part of the visual context.
    - `age_seconds`: the time since its arrival.
    - `is_newer`: it changed after the requested moment.
    """

    message_key: str
    stamp: tuple[int, datetime]
    is_pending: bool
    fits: bool
    is_within: bool
    is_recent: bool
    received_at: datetime = datetime.min
    age_seconds: float = 0.0
    is_inbound: bool = True
    is_newer: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """Which messages of a conversation are requested.

    They are the latest `limit` messages of the last `within_seconds` that come before
    the position `before`. `since` is the moment of an earlier answer.
    """

    within_seconds: float
    limit: int | None = None
    before: tuple[datetime, str] | None = None
    since: Moment | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a message: its position among the tenant's changes, and the fields
    that filters use.
    """

    place: ChangePosition
    conversation_id: str
    status: str
    kind: str


@dataclass(frozen=True, slots=True)
class Announced:
    """The provider of the message that has an attachment, and where the message came from."""

    provider: str
    origin: str


@dataclass(frozen=True, slots=True)
class ContextRow:
    """A row of a conversation. `attributes` is its `content_attributes`.

    `is_cut` is true if the stored content is longer. `bytes` is the approximate size.
    """

    message_key: str
    stamp: tuple[int, datetime]
    role: str
    kind: str
    content: str | None
    is_cut: bool
    attributes: dict[str, Any]
    occurred_at: datetime
    bytes: int
    direction: str = "inbound"
    status: str = "complete"
    conversation_id: str = ""
    provider: str = ""
    received_at: datetime = datetime.min
    sender_id: str | None = None
    sender_name: str | None = None


@dataclass(frozen=True, slots=True)
class ContextBounds:
    """Limits of a context: number of messages, bytes in total, and sizes per message."""

    messages: int = 500
    total_bytes: int = 262_144
    content_characters: int = 32_768
    attribute_bytes: int = 65_536


class ConsoleQueries:
    """Runs the queries on a pool of which each tenant has a share.

    Raises Unavailable while Postgres cannot be reached, and Busy.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._turns = TenantQueue(POOL_SHARE, MOST_IN_LINE)
        self._sql = queries("console")

    async def conversation_ids(self, tenant_id: TenantId, conversation_id: str) -> list[str]:
        """Returns the ids of the conversation, the requested one first.

        Senders of `POST /chat` use the id that they gave, which may contain any
        characters. An id of permitted characters only may be another origin's, so it is
        taken literally.
        """
        ids = [conversation_id]
        if not is_conversation_id(conversation_id):
            ids.append(direct_conversation_id(conversation_id))
        return [row["id"] for row in await self._fetch("conversation_ids", tenant_id, ids)]

    async def context_keys(
        self,
        tenant_id: TenantId,
        conversations: Sequence[str],
        window: Window,
        bounds: ContextBounds,
    ) -> tuple[list[ContextKey], Moment]:
        """Returns the keys, newest arrival first, and the moment at which they were read."""
        before, since = window.before or (None, None), window.since
        moment, *rows = await self._fetch(
            "context_keys",
            tenant_id,
            list(conversations),
            float(window.within_seconds),
            bounds.messages,
            bounds.total_bytes,
            bounds.content_characters,
            bounds.attribute_bytes,
            *before,
            since.era if since else None,
            since.snapshot if since else None,
        )
        return [
            ContextKey(
                row["message_key"],
                (row["version"], row["enriched_at"]),
                row["status"] == "pending",
                row["fits"],
                row["is_within"],
                row["is_recent"],
                row["received_at"],
                row["age_seconds"],
                row["is_inbound"],
                row["is_newer"],
            )
            for row in rows
        ], Moment(moment["era"], moment["snapshot"])

    async def context_rows(
        self, tenant_id: TenantId, keys: Sequence[str], bounds: ContextBounds
    ) -> list[ContextRow]:
        """Returns the rows of these keys, in this order, up to the size limits.

        At least one row is returned.
        """
        rows = await self._fetch(
            "context_rows",
            tenant_id,
            list(keys),
            bounds.content_characters,
            bounds.attribute_bytes,
            bounds.total_bytes,
        )
        return [
            ContextRow(
                row["message_key"],
                (row["version"], row["enriched_at"]),
                row["role"],
                row["kind"],
                row["content"],
                row["is_cut"],
                msgspec.json.decode(row["attributes"]),
                row["occurred_at"],
                len(row["content"] or "") + len(row["attributes"]),
                row["direction"],
                row["status"],
                row["conversation_id"],
                row["provider"],
                row["received_at"],
                row["sender_id"],
                row["sender_name"],
            )
            for row in rows
        ]

    async def edge(self, tenant_id: TenantId) -> Edge:
        """Returns the position up to which changes are complete now."""
        (row,) = await self._fetch_of_all(tenant_id, "edge")
        return Edge(row["era"], row["xid"], row["next_era"], row["next_xid"])

    async def changes(
        self, tenant_id: TenantId, after: ChangePosition, edge: Edge, most: int
    ) -> list[Change]:
        """Returns the next complete changes after a position, oldest first."""
        rows = await self._fetch("changes", tenant_id, *after, edge.era, edge.xid, most)
        return [
            Change(ChangePosition(*row[:4]), row["conversation_id"], row["status"], row["kind"])
            for row in rows
        ]

    async def last_change(self, tenant_id: TenantId, edge: Edge) -> ChangePosition | None:
        rows = await self._fetch("last_change", tenant_id, edge.era, edge.xid)
        return ChangePosition(*rows[0]) if rows else None

    async def has_incomplete_changes(self, tenant_id: TenantId, edge: Edge) -> bool:
        """Returns True if there are visible changes that cannot be served yet, but soon can."""
        rows = await self._fetch("has_incomplete_changes", tenant_id, edge.era, edge.xid)
        return bool(rows[0]["waits"])

    async def sink_positions(self, tenant_id: TenantId, topic: str) -> dict[int, int]:
        """Returns the sink's position per partition.

        `tenant_id` says whose share of the pool is used.
        """
        rows = await self._fetch_of_all(tenant_id, "sink_positions", topic)
        return {row["partition"]: row["next_offset"] for row in rows}

    async def conversations(
        self, tenant_id: TenantId, after: str, most: int
    ) -> list[dict[str, Any]]:
        """Returns the next conversations, ordered by id."""
        return [dict(row) for row in await self._fetch("conversations", tenant_id, after, most)]

    async def statuses(self, tenant_id: TenantId, keys: Sequence[str]) -> dict[str, str]:
        """Returns the status of each message key that has a row."""
        return {
            row["message_key"]: row["status"]
            for row in await self._fetch("known_keys", tenant_id, list(keys))
        }

    async def message(self, tenant_id: TenantId, message_key: str) -> dict[str, Any] | None:
        rows = await self._fetch("message", tenant_id, message_key)
        if not rows:
            return None
        return dict(rows[0]) | {
            "content_attributes": msgspec.json.decode(rows[0]["content_attributes"])
        }

    async def steps(self, tenant_id: TenantId, message_key: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._fetch("steps", tenant_id, message_key)]

    async def stored_by_original(self, tenant_id: TenantId, url: str) -> str | None:
        rows = await self._fetch("stored_by_original", tenant_id, url)
        return rows[0]["object_key"] if rows else None

    async def announced_by_original(self, tenant_id: TenantId, url: str) -> Announced | None:
        """Returns the message origin of an attachment's address, or None if the tenant
        has no such attachment.
        """
        rows = await self._fetch("announced_by_original", tenant_id, url)
        if not rows:
            return None
        provider, endpoint_id, attributes = rows[0]
        origin = origin_of(endpoint_id, provider, msgspec.json.decode(attributes or "{}"))
        return Announced(provider, origin)

    async def _fetch(self, name: str, tenant_id: TenantId, *arguments: Any) -> list[Any]:
        return await self._fetch_of_all(tenant_id, name, tenant_id, *arguments)

    async def _fetch_of_all(self, tenant_id: TenantId, name: str, *arguments: Any) -> list[Any]:
        """`tenant_id` says whose share of the pool is used."""
        with as_unavailable():
            async with self._turns.turn(tenant_id):
                return list(await self._pool.fetch(self._sql[name], *arguments))
