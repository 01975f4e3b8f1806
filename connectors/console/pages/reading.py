"""The queries of the pages.

Each tenant has its own share of the connection pool.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from connectors.console.pages.refs import Refs
from connectors.console.pages.searching import (
    Filters,
    PageCursor,
    Search,
    Window,
    as_page_trouble,
    tsquery,
)
from connectors.console.tenant_queue import TenantQueue
from schemas.keys import TenantId
from storage.postgres.repairs import MOST_RARE, MOST_TRIES
from storage.postgres.sql import queries

PAGE_CONVERSATIONS = 40
PAGE_MESSAGES = 50
WINDOW = 1_000
MOST_WINDOWS = 3
"""A page of conversations scans at most this many windows of messages."""
FIRST_WALKED = 3_000
MOST_WALKED = 20_000
"""How many messages a page of failed ones walks through, in two statements.

A frequent reason fills the page within the first statement. Otherwise the index tells
first whether the reason is rare: then a walk through the others would find nothing.
"""
POOL_SHARE = 2
COUNTS_AT_ONCE = 2
EVERY = TenantId("*")
"""The key of the queue for queries about several tenants."""
MOST_IN_LINE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = PageCursor(datetime(9999, 1, 1, tzinfo=UTC), "")


def cursor(place: PageCursor, refs: Refs, tenant_id: TenantId) -> str:
    """Returns the position as text for an address."""
    micros = (place.received_at - _EPOCH) // timedelta(microseconds=1)
    return f"{micros}.{refs.of(tenant_id, 'm', place.message_key)}"


def place_of(text: str | None, refs: Refs, tenant_id: TenantId) -> PageCursor:
    """Parses a position from an address; returns NOW, the newest, for any other text."""
    micros, _, ref = (text or "").partition(".")
    message_key = refs.open(tenant_id, "m", ref)
    if message_key is None or not re.fullmatch(r"[0-9]{1,17}", micros):
        return NOW
    try:
        return PageCursor(_EPOCH + timedelta(microseconds=int(micros)), message_key)
    except OverflowError:
        return NOW


@dataclass(frozen=True, slots=True)
class ListPage:
    """Rows, newest first, and where the next page begins, or None after the last page."""

    rows: list[Any]
    older: PageCursor | None


class PageReading:
    """Runs the queries. Raises Unavailable while Postgres cannot be reached, and Busy."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._turns = TenantQueue(POOL_SHARE, MOST_IN_LINE)
        self._search = Search(pool)
        self._counts = asyncio.Semaphore(COUNTS_AT_ONCE)
        self._sql = {
            name: text
            for file in ("pages", "pages_tenant", "pages_tenants", "causes")
            for name, text in queries(file).items()
        }

    async def conversations(
        self, tenant_id: TenantId, filters: Filters, before: PageCursor
    ) -> ListPage:
        """Returns one row per conversation: its newest message that matches the filters.

        A page may have fewer rows than others, or none, although older ones follow.
        """
        chosen: dict[str, Any] = {}
        at: PageCursor | None = before
        query = tsquery(filters.text)
        is_rare = False
        for number in range(MOST_WINDOWS):
            assert at is not None
            if query:
                if number == 1:  # the index needs seconds to count words that are frequent
                    is_rare = await self._search.is_rare(tenant_id, query)
                rows, at = await self._search.window(
                    tenant_id, filters, at, is_rare=is_rare, number=number
                )
            else:
                rows, at = await self._window(tenant_id, filters, at)
            for row in rows:
                if row["is_newest"]:
                    chosen.setdefault(row["conversation_id"], row["message_key"])
                if len(chosen) == PAGE_CONVERSATIONS:
                    at = PageCursor(row["received_at"], row["message_key"])
                    break
            if at is None or len(chosen) == PAGE_CONVERSATIONS:
                break
        return ListPage(await self.fetch("heads", tenant_id, list(chosen.values())), at)

    async def _window(self, tenant_id: TenantId, filters: Filters, at: PageCursor) -> Window:
        name = f"newest_{filters.state}" if filters.state else "newest"
        place = (at.received_at, at.message_key)
        rows = await self.fetch(name, tenant_id, *place, filters.provider or None, WINDOW)
        is_last = len(rows) < WINDOW
        return rows, None if is_last else PageCursor(
            rows[-1]["received_at"], rows[-1]["message_key"]
        )

    async def providers(self, tenant_id: TenantId) -> list[str]:
        return [row["provider"] for row in await self.fetch("providers", tenant_id)]

    async def chat(self, tenant_id: TenantId, names: Sequence[str], before: PageCursor) -> ListPage:
        """Returns messages of a conversation, newest first."""
        rows = await self.fetch(
            "chat",
            tenant_id,
            list(names),
            before.received_at,
            before.message_key,
            PAGE_MESSAGES + 1,
        )
        shown = [_decoded(row) for row in rows[:PAGE_MESSAGES]]
        last = rows[PAGE_MESSAGES - 1] if len(rows) > PAGE_MESSAGES else None
        older = PageCursor(last["received_at"], last["message_key"]) if last is not None else None
        return ListPage(shown, older)

    async def failed(
        self, tenant_id: TenantId, reason: str, before: PageCursor, most: int
    ) -> ListPage:
        """Returns messages with a file that failed for the reason, newest first.

        A page of a frequent reason that is rare among the next messages may have fewer
        rows than `most`, or none, although older ones follow.
        """
        rows: list[Any] = []
        begin = at = (before.received_at, before.message_key)
        for walked in (FIRST_WALKED, MOST_WALKED - FIRST_WALKED):
            wanted = most + 1 - len(rows)
            rows += await self.fetch(
                "failed_messages_by_reason", tenant_id, reason, *at, walked, wanted, MOST_TRIES
            )
            if len(rows) > most:
                return _failed_page(rows, most)
            last = await self.fetch("place_of_failed", tenant_id, *at, walked)
            if not last:
                return ListPage(rows, None)
            if at == begin and await self._is_rare(tenant_id, reason):
                name = "rare_failed_messages"
                rows = await self.fetch(name, tenant_id, reason, *begin, most + 1, MOST_TRIES)
                return _failed_page(rows, most)
            at = (last[0]["received_at"], last[0]["message_key"])
        return ListPage(rows, PageCursor(*at))

    async def _is_rare(self, tenant_id: TenantId, reason: str) -> bool:
        """Tells whether the index finds all files with this reason quickly."""
        (row,) = await self.fetch("cause_found", tenant_id, reason, MOST_RARE + 1)
        return bool(row["found"] <= MOST_RARE)

    async def message(self, tenant_id: TenantId, message_key: str) -> dict[str, Any] | None:
        rows = await self.fetch("one_message", tenant_id, message_key)
        return _decoded(rows[0]) if rows else None

    async def fetch(self, name: str, tenant_id: TenantId, *arguments: Any) -> list[Any]:
        """Runs a statement of `pages.sql` or `pages_tenant.sql` in the tenant's turn."""
        with as_page_trouble():
            async with self.turn(tenant_id):
                return list(await self._pool.fetch(self._sql[name], tenant_id, *arguments))

    async def fetch_of_tenants(
        self, name: str, tenants: Sequence[TenantId], *arguments: Any
    ) -> list[Any]:
        """Runs a statement of `pages_tenants.sql`; all such statements share one queue."""
        with as_page_trouble():
            async with self.turn(EVERY):
                return list(await self._pool.fetch(self._sql[name], list(tenants), *arguments))

    async def count(
        self, name: str, about: TenantId | list[TenantId], *arguments: Any
    ) -> list[Any]:
        """Runs a statement that may take long, in a turn of its own.

        Two counts of all tenants together run at once, and hold up no page.
        """
        with as_page_trouble():
            async with self._counts:
                return list(await self._pool.fetch(self._sql[name], about, *arguments))

    def turn(self, tenant_id: TenantId) -> AbstractAsyncContextManager[None]:
        """Waits for a turn in the tenant's queue.

        Raises Busy. Do not wait for another turn while holding one: two such tasks
        would deadlock.
        """
        return self._turns.turn(tenant_id)


def _failed_page(rows: list[Any], most: int) -> ListPage:
    """Returns the first `most` rows; if there are more, older ones follow the last of these."""
    if len(rows) <= most:
        return ListPage(rows, None)
    last = rows[most - 1]
    return ListPage(rows[:most], PageCursor(last["received_at"], last["message_key"]))


def _decoded(row: Any) -> dict[str, Any]:
    """Returns the row with its attributes: none if they are too large."""
    is_too_large = row["attributes"] is None
    attributes = {} if is_too_large else msgspec.json.decode(row["attributes"])
    return dict(row) | {
        "attributes": attributes if isinstance(attributes, dict) else {},
        "is_too_large": is_too_large,
    }
