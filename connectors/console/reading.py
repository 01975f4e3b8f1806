"""What the console reads from Postgres, each question of one tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from connectors.console.turns import Busy, Turns
from schemas.keys import TenantId, direct_conversation_id, is_conversation_id
from schemas.origins import origin_of
from storage.postgres.pool import unavailable
from storage.postgres.sql import queries

POOL_SHARE = 3
"""Statements of one tenant that run at once, of the eight connections of the console's pool."""
MOST_IN_LINE = 2_000


@dataclass(frozen=True, slots=True)
class ContextKey:
    """A message of a conversation, without its text. `stamp` changes whenever the row does.

    `fits`: it is within the bytes of a context, counted from the newest on. `is_within`: it arrived
    in the time that was asked for. `is_recent`: its images belong into the visual context.
    """

    message_key: str
    stamp: tuple[int, datetime]
    is_pending: bool
    fits: bool
    is_within: bool
    is_recent: bool


@dataclass(frozen=True, slots=True)
class Announced:
    """The provider that a message with an attachment names, and the way by which the message came in."""

    provider: str
    origin: str


@dataclass(frozen=True, slots=True)
class ContextRow:
    """A row of a conversation; `attributes` is its content_attributes.

    `is_cut`: the content is longer.

    `bytes`: about how large it is.
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


@dataclass(frozen=True, slots=True)
class ContextBounds:
    """How much of a conversation is read: messages, bytes of all, and of one content and
    attributes.
    """

    messages: int = 500
    total_bytes: int = 262_144
    content_characters: int = 32_768
    attribute_bytes: int = 65_536


class Reading:
    """On a pool, of which one tenant has a share.

    Raises Unavailable while Postgres is away, and Busy.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._turns = Turns(POOL_SHARE, MOST_IN_LINE)
        self._sql = queries("console")

    async def conversation_ids(self, tenant_id: TenantId, conversation_id: str) -> list[str]:
        """The conversation's ids, the one asked for first.

        A sender of `POST /chat` asks by the id it gave, which may hold any characters. An id of
        allowed characters only may be another origin's, so it stands for itself alone.
        """
        asked = [conversation_id]
        if not is_conversation_id(conversation_id):
            asked.append(direct_conversation_id(conversation_id))
        return [row["id"] for row in await self._fetch("conversation_ids", tenant_id, asked)]

    async def context_keys(
        self,
        tenant_id: TenantId,
        conversations: Sequence[str],
        within_seconds: float,
        bounds: ContextBounds,
    ) -> list[ContextKey]:
        """Newest first by arrival."""
        rows = await self._fetch(
            "context_keys",
            tenant_id,
            list(conversations),
            float(within_seconds),
            bounds.messages,
            bounds.total_bytes,
            bounds.content_characters,
            bounds.attribute_bytes,
        )
        return [
            ContextKey(
                row["message_key"],
                (row["version"], row["enriched_at"]),
                row["status"] == "pending",
                row["fits"],
                row["is_within"],
                row["is_recent"],
            )
            for row in rows
        ]

    async def context_rows(
        self, tenant_id: TenantId, keys: Sequence[str], bounds: ContextBounds
    ) -> list[ContextRow]:
        """The rows of these keys, newest first, as far as they fit into the bounds; one always
        does.
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
            )
            for row in rows
        ]

    async def statuses(self, tenant_id: TenantId, keys: Sequence[str]) -> dict[str, str]:
        """Message key → status, of those that are rows."""
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
        """Who announced the address; None: no attachment of the tenant has it."""
        rows = await self._fetch("announced_by_original", tenant_id, url)
        if not rows:
            return None
        provider, endpoint_id, attributes = rows[0]
        origin = origin_of(endpoint_id, provider, msgspec.json.decode(attributes or "{}"))
        return Announced(provider, origin)

    async def _fetch(self, name: str, tenant_id: TenantId, *arguments: Any) -> list[Any]:
        try:
            async with self._turns.turn(tenant_id):
                return list(await self._pool.fetch(self._sql[name], tenant_id, *arguments))
        except Busy:
            raise
        except Exception as error:
            raise unavailable(error) or error from error
