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
from connectors.console.tenant_queue import TenantQueue
from schemas.keys import TenantId
from schemas.text import storable
from storage.postgres.pool import as_unavailable
from storage.postgres.repairs import MOST_RARE
from storage.postgres.sql import queries

PAGE_CONVERSATIONS = 40
PAGE_MESSAGES = 50
WINDOW = 1_000
MOST_WINDOWS = 3
"""A page of conversations scans at most this many windows of messages."""
MOST_SEARCHED = 300
MOST_BY_INDEX = 20_000
"""Beyond this many matches a search is frequent, so it also matches among the newest messages."""
MOST_WALKED = 20_000
"""How many messages one statement walks through for a page of failed ones."""
POOL_SHARE = 2
COUNTS_AT_ONCE = 2
EVERY = TenantId("*")
"""The key of the queue for queries about several tenants."""
MOST_IN_LINE = 100
_WORD = re.compile(r"\w+")
MOST_WORDS = 8


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The position at which a page of rows ends; the next page has the older rows."""

    received_at: datetime
    message_key: str


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
class Filters:
    """Selects the conversations of a list. An empty field selects all."""

    provider: str = ""
    state: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ListPage:
    """Rows, newest first, and where the next page begins, or None after the last page."""

    rows: list[Any]
    older: PageCursor | None


def tsquery(text: str) -> str:
    """Returns a query for all of these words, the last one as a prefix; "" if there are none."""
    words = _WORD.findall(storable(text)[:500])[:MOST_WORDS]
    return " & ".join([*words[:-1], f"{words[-1]}:*"]) if words else ""


class PageReading:
    """Runs the queries. Raises Unavailable while Postgres cannot be reached, and Busy."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._turns = TenantQueue(POOL_SHARE, MOST_IN_LINE)
        self._counts = asyncio.Semaphore(COUNTS_AT_ONCE)
        self._sql = {
            name: text
            for file in ("pages", "pages_tenant", "pages_tenants", "causes")
            for name, text in queries(file).items()
        }

    async def conversations(
        self, tenant_id: TenantId, wanted: Filters, before: PageCursor
    ) -> ListPage:
        """Returns one row per conversation: its newest message that matches the filters."""
        chosen: dict[str, Any] = {}
        at, ended = before, False
        query = tsquery(wanted.text)
        searching = await self._search(tenant_id, query) if query else ""
        for _ in range(MOST_WINDOWS):
            rows = await self._window(tenant_id, wanted, at, searching)
            ended = len(rows) < (MOST_SEARCHED if wanted.text else WINDOW)
            for row in rows:
                at = PageCursor(row["received_at"], row["message_key"])
                if row["is_newest"] and row["conversation_id"] not in chosen:
                    chosen[row["conversation_id"]] = row["message_key"]
                    if len(chosen) == PAGE_CONVERSATIONS:
                        break
            if ended or len(chosen) == PAGE_CONVERSATIONS:
                break
        heads = await self.fetch("heads", tenant_id, list(chosen.values()))
        is_last = ended and len(chosen) < PAGE_CONVERSATIONS
        return ListPage(heads, None if is_last else at)

    async def _search(self, tenant_id: TenantId, query: str) -> str:
        """Chooses the statement for these words.

        Rare words are found by their index, frequent ones by a scan of the newest
        messages. Postgres cannot choose itself: without statistics for a word it would
        scan every message.
        """
        (row,) = await self.fetch("words_found", tenant_id, query, MOST_BY_INDEX + 1)
        return "newest_with_rare_words" if row["found"] <= MOST_BY_INDEX else "newest_with_words"

    async def _window(
        self, tenant_id: TenantId, wanted: Filters, at: PageCursor, searching: str
    ) -> list[Any]:
        provider = wanted.provider or None
        if query := tsquery(wanted.text):
            return await self.fetch(
                searching,
                tenant_id,
                at.received_at,
                at.message_key,
                provider,
                MOST_SEARCHED,
                query,
                wanted.state or None,
            )
        name = f"newest_{wanted.state}" if wanted.state else "newest"
        return await self.fetch(name, tenant_id, at.received_at, at.message_key, provider, WINDOW)

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
        at = (before.received_at, before.message_key)
        rows = await self.fetch(
            "failed_messages_by_reason", tenant_id, reason, *at, MOST_WALKED, most + 1
        )
        if len(rows) <= most:
            place = await self.fetch("place_of_failed", tenant_id, *at, MOST_WALKED)
            if not place:
                return ListPage(rows, None)
            (row,) = await self.fetch("cause_found", tenant_id, reason, MOST_RARE + 1)
            if row["found"] > MOST_RARE:
                (last,) = place
                return ListPage(rows, PageCursor(last["received_at"], last["message_key"]))
            rows = await self.fetch("rare_failed_messages", tenant_id, reason, *at, most + 1)
        last = rows[most - 1] if len(rows) > most else None
        older = PageCursor(last["received_at"], last["message_key"]) if last is not None else None
        return ListPage(rows[:most], older)

    async def message(self, tenant_id: TenantId, message_key: str) -> dict[str, Any] | None:
        rows = await self.fetch("one_message", tenant_id, message_key)
        return _decoded(rows[0]) if rows else None

    async def fetch(self, name: str, tenant_id: TenantId, *arguments: Any) -> list[Any]:
        """Runs a statement of `pages.sql` or `pages_tenant.sql` in the tenant's turn."""
        with as_unavailable():
            async with self.turn(tenant_id):
                return list(await self._pool.fetch(self._sql[name], tenant_id, *arguments))

    async def fetch_of_tenants(
        self, name: str, tenants: Sequence[TenantId], *arguments: Any
    ) -> list[Any]:
        """Runs a statement of `pages_tenants.sql`; all such statements share one queue."""
        with as_unavailable():
            async with self.turn(EVERY):
                return list(await self._pool.fetch(self._sql[name], list(tenants), *arguments))

    async def count(
        self, name: str, about: TenantId | list[TenantId], *arguments: Any
    ) -> list[Any]:
        """Runs a statement that may take long, in a turn of its own.

        Two counts of all tenants together run at once, and hold up no page.
        """
        with as_unavailable():
            async with self._counts:
                return list(await self._pool.fetch(self._sql[name], about, *arguments))

    def turn(self, tenant_id: TenantId) -> AbstractAsyncContextManager[None]:
        """Waits for a turn in the tenant's queue.

        Raises Busy. Do not wait for another turn while holding one: two such tasks
        would deadlock.
        """
        return self._turns.turn(tenant_id)


def _decoded(row: Any) -> dict[str, Any]:
    attributes = msgspec.json.decode(row["attributes"])
    return dict(row) | {"attributes": attributes if isinstance(attributes, dict) else {}}
