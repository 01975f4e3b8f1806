"""Keeps the search for words fast.

The sink adds new words to a list, which every search reads: it must stay short.
"""

import asyncio

import asyncpg
import structlog

from storage.postgres.sql import queries

log = structlog.get_logger()
EVERY_SECONDS = 5.0


class WordIndex:
    """Merges the list into its index, many messages at a
    time: this costs a fifth of doing it message by message.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def run(self) -> None:
        """Never returns.

        Without it the list has a bound, and whoever reaches it merges it himself.
        """
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self._pool.fetchval(queries("retention")["merge_words"])
            except Exception as error:  # whatever it is, nothing is lost by trying again
                log.warning("words_not_merged", error=type(error).__name__, detail=str(error)[:300])
