"""Searches for words among the messages of a tenant, bounded in time and number.

A search can cost much more than any other page, so its statements have queues and a
time limit of their own.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from connectors.console.tenant_queue import TenantQueue
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.text import storable
from storage.postgres.pool import as_unavailable
from storage.postgres.sql import queries

MOST_SEARCHED = 300
"""How many messages with the words one statement returns."""
MOST_BY_INDEX = 20_000
"""Words in more messages than this are frequent, and are searched for in windows."""
WALKED = (1_000, 3_000, 7_000)
"""How many messages each statement of a page looks at for frequent words.

The statements run one after the other. Looking at a message takes a tenth of a
millisecond, and words that are frequent now are found among the first messages.
"""
MOST_WORDS = 8
SHORTEST_PREFIX = 3
"""A shorter last word does not count as a prefix, because too many words begin with it."""
SEARCH_SECONDS = 5.0
SEARCHES_AT_ONCE = 2
SEARCHES_IN_LINE = 20
"""How many searches of a tenant may wait while one of its searches runs."""
_WORD = re.compile(r"\w+")


class TookTooLong(Unavailable):
    """A statement reached its time limit. A retry would reach it too."""


@dataclass(frozen=True, slots=True)
class PageCursor:
    """Where a page of rows ends: the next one has what came before."""

    received_at: datetime
    message_key: str


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of the list of conversations. An empty field matches everything."""

    provider: str = ""
    state: str = ""
    text: str = ""


Window = tuple[list[Any], PageCursor | None]
"""Rows, newest first, and the position of the next older ones, or None after the last."""


def tsquery(text: str) -> str:
    """Returns a query that requires all words, the last one as a prefix; empty without words."""
    words = _WORD.findall(storable(text)[:500])[:MOST_WORDS]
    if words and len(words[-1]) >= SHORTEST_PREFIX:
        words[-1] += ":*"
    return " & ".join(words)


@contextmanager
def as_page_trouble() -> Iterator[None]:
    """Converts errors of Postgres like `as_unavailable`, a time limit to TookTooLong."""
    try:
        with as_unavailable():
            yield
    except Unavailable as trouble:
        if isinstance(trouble.__cause__, asyncpg.QueryCanceledError):
            raise TookTooLong(trouble.what) from trouble
        raise


class Search:
    """Searches messages.

    Raises Unavailable while Postgres cannot be reached, TookTooLong, and Busy.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._turns = TenantQueue(1, SEARCHES_IN_LINE)
        self._all = asyncio.Semaphore(SEARCHES_AT_ONCE)
        self._sql = queries("pages")

    async def is_rare(self, tenant_id: TenantId, query: str) -> bool:
        """Tells whether the index finds the words quickly.

        Postgres cannot choose itself: without statistics for a word it would scan every
        message.
        """
        (row,) = await self._fetch("words_found", tenant_id, query, MOST_BY_INDEX + 1)
        return bool(row["found"] <= MOST_BY_INDEX)

    async def window(
        self, tenant_id: TenantId, filters: Filters, at: PageCursor, *, is_rare: bool, number: int
    ) -> Window:
        """Returns messages with the words, by their index or among the next ones before `at`.

        `number` counts the windows of a page from 0.
        """
        walked = WALKED[number]
        place = (at.received_at, at.message_key)
        chosen = (
            filters.provider or None,
            MOST_SEARCHED,
            tsquery(filters.text),
            filters.state or None,
        )
        if is_rare:
            rows = await self._fetch("newest_with_rare_words", tenant_id, *place, *chosen)
        else:
            rows = await self._fetch("newest_with_words", tenant_id, *place, *chosen, walked)
        if len(rows) == MOST_SEARCHED:
            return rows, PageCursor(rows[-1]["received_at"], rows[-1]["message_key"])
        if is_rare:
            return rows, None
        last = await self._fetch("place_of_message", tenant_id, *place, walked)
        return rows, PageCursor(last[0]["received_at"], last[0]["message_key"]) if last else None

    async def _fetch(self, name: str, tenant_id: TenantId, *arguments: Any) -> list[Any]:
        with as_page_trouble():
            async with (
                self._turns.turn(tenant_id),
                self._all,
                self._pool.acquire() as connection,
                connection.transaction(readonly=True),
            ):
                most = f"{SEARCH_SECONDS * 1000:.0f}"
                await connection.execute(self._sql["bound_search"], tenant_id, most)
                return list(await connection.fetch(self._sql[name], tenant_id, *arguments))
