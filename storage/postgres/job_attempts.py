"""Records for people why jobs wait.

The pipeline itself does not depend on this table.
"""

import asyncio
import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

import asyncpg
import structlog

from schemas.settings import Postgres
from schemas.text import storable
from schemas.topics import Names
from storage.postgres.erased import key_digest
from storage.postgres.lock_order import columns, in_lock_order
from storage.postgres.pool import create_pool, unavailable
from storage.postgres.sql import queries

log = structlog.get_logger()

MOST_NOTED = 20_000
"""The most notes that wait for Postgres. Beyond that the oldest are dropped."""
AT_ONCE = 1_000
EVERY_SECONDS = 0.5
TIDY_SECONDS = 3_600.0
DETAIL_CHARS = 500


class JobPlace(NamedTuple):
    """Identifies the job of one stage for one attachment."""

    tenant_id: str
    message_key: str
    attachment_index: int
    stage: str


@dataclass(frozen=True, slots=True)
class JobAttempt:
    """The last try of a job.

    `next_at` is None if the job failed and will not be retried.
    """

    place: JobPlace
    generation: int
    attempts: int
    cause: str
    detail: str
    first_at: datetime
    last_at: datetime
    next_at: datetime | None


class JobAttempts:
    """Collects notes and writes them in batches from a background task.

    While Postgres cannot be reached, a bounded number of notes waits. A lost note is
    missing on the console and nowhere else.
    """

    def __init__(self, settings: Postgres, names: Names, application: str) -> None:
        self._settings = settings
        self._names = names
        self._application = application
        self._sql = queries("job_attempts")
        self._noted: OrderedDict[JobPlace, JobAttempt | int] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._is_away = False
        self._tidied_at = -TIDY_SECONDS

    async def start(self) -> None:
        self._pool = await create_pool(
            self._settings, self._names, f"{self._application}-attempts", size=1
        )
        self._task = asyncio.create_task(self._run(), name="job-attempts")

    async def stop(self) -> None:
        """Writes the remaining notes, if Postgres can be reached."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2):
                await self.write()
        if self._pool is not None:
            self._pool.terminate()

    def note(self, attempt: JobAttempt) -> None:
        self._keep(attempt.place, attempt)

    def forget(self, place: JobPlace, generation: int) -> None:
        """Deletes the notes of a job that ended well."""
        self._keep(place, generation)

    def _keep(self, place: JobPlace, what: JobAttempt | int) -> None:
        self._noted.pop(place, None)
        self._noted[place] = what
        if len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)

    async def write(self) -> None:
        """Writes one batch of notes.

        Raises what Postgres raises; the notes are then kept.
        """
        portion = list(self._noted.items())[:AT_ONCE]
        assert self._pool is not None
        notes = [
            _columns(what)
            for _, what in in_lock_order(portion, itemgetter(0))
            if isinstance(what, JobAttempt)
        ]
        ended = [
            (*place, what)
            for place, what in in_lock_order(portion, itemgetter(0))
            if isinstance(what, int)
        ]
        if notes:
            await self._pool.execute(self._sql["note"], *columns(notes))
        if ended:
            await self._pool.execute(self._sql["forget"], *columns(ended))
        for place, what in portion:
            if self._noted.get(place) is what:
                del self._noted[place]

    async def _run(self) -> None:
        """Never returns.

        Logs whatever a batch raises and continues with the next one.
        """
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                if self._noted:
                    await self.write()
                await self._tidy()
                self._is_away = False
            except Exception as error:
                self._failed(error)

    async def _tidy(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._tidied_at > TIDY_SECONDS:
            assert self._pool is not None
            await self._pool.execute(self._sql["forget_old"])
            self._tidied_at = now

    def _failed(self, error: Exception) -> None:
        """Drops the batch if Postgres refused a value, as it would refuse it again."""
        if unavailable(error) is None:
            for place in list(self._noted)[:AT_ONCE]:
                del self._noted[place]
        if not self._is_away:
            log.warning("job_attempts_not_written", error=f"{type(error).__name__}: {error}")
        self._is_away = True


def _columns(attempt: JobAttempt) -> tuple[object, ...]:
    return (
        *attempt.place, attempt.generation, attempt.attempts, attempt.cause,
        storable(attempt.detail)[:DETAIL_CHARS], attempt.first_at, attempt.last_at,
        attempt.next_at, key_digest(attempt.place.message_key),
    )  # fmt: skip
