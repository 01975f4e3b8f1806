"""What the console reads from Postgres, each question of one tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from schemas.keys import TenantId, direct_conversation_id, is_conversation_id
from schemas.origins import origin_of
from storage.postgres.pool import unavailable
from storage.postgres.sql import queries


@dataclass(frozen=True, slots=True)
class ContextMessage:
    """A row of a conversation; `attributes` is its content_attributes. `is_recent`: its images belong into the visual context."""

    message_key: str
    role: str
    kind: str
    content: str | None
    attributes: dict[str, Any]
    status: str
    occurred_at: datetime
    is_recent: bool


@dataclass(frozen=True, slots=True)
class Announced:
    """The provider that a message with an attachment names, and the way by which the message came in."""

    provider: str
    origin: str


class Reading:
    """On a pool. Raises Unavailable while Postgres is away."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
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

    async def context_messages(
        self, tenant_id: TenantId, conversations: Sequence[str], within_seconds: float, limit: int
    ) -> list[ContextMessage]:
        """Oldest first by arrival; the latest `limit` of them."""
        rows = await self._fetch(
            "context_messages", tenant_id, list(conversations), float(within_seconds), limit
        )
        return [
            ContextMessage(
                row["message_key"],
                row["role"],
                row["kind"],
                row["content"],
                msgspec.json.decode(row["content_attributes"]),
                row["status"],
                row["occurred_at"],
                row["is_recent"],
            )
            for row in reversed(rows)
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

    async def _fetch(self, name: str, *arguments: Any) -> list[Any]:
        try:
            return list(await self._pool.fetch(self._sql[name], *arguments))
        except Exception as error:
            raise unavailable(error) or error from error
