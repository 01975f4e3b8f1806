"""Who waits for a conversation is woken when the sink has written to it."""

import asyncio
import json
from collections.abc import Iterable

import asyncpg
import structlog

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Postgres
from schemas.topics import Names
from storage.postgres.pool import connect, unavailable

log = structlog.get_logger()

MAX_WAITERS = 2_000
POLL_SECONDS = 1.0
"""A waiter looks again at the latest after this, should a notification have been missed."""


class Changes:
    """One LISTEN for all waiters. `end` wakes them for good: a role that drains answers with what there is."""

    def __init__(self, settings: Postgres, names: Names) -> None:
        self._settings = settings
        self._names = names
        self._waiters: dict[asyncio.Event, tuple[TenantId, frozenset[str]]] = {}
        self._task: asyncio.Task[None] | None = None
        self.ended = False

    async def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="changes")

    async def stop(self) -> None:
        self.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def end(self) -> None:
        self.ended = True
        self._wake_all()

    def waiter(self, tenant_id: TenantId, conversations: Iterable[str]) -> "Waiter":
        """Raises Unavailable when too many wait already."""
        if len(self._waiters) >= MAX_WAITERS:
            raise Unavailable("room for another waiting request")
        return Waiter(self._waiters, tenant_id, frozenset(conversations))

    def told(self, payload: str) -> None:
        """A notification of the sink: `[[tenant, conversation], …]` or `*`."""
        if payload == "*":
            return self._wake_all()
        touched = {(tenant, conversation) for tenant, conversation in json.loads(payload)}
        for event, (tenant_id, conversations) in self._waiters.items():
            if any((tenant_id, conversation) in touched for conversation in conversations):
                event.set()
        return None

    def _wake_all(self) -> None:
        for event in self._waiters:
            event.set()

    async def _listen(self) -> None:
        while True:
            try:
                connection = await connect(self._settings, self._names, "console-changes")
                lost = asyncio.Event()
                connection.add_termination_listener(lambda *_, lost=lost: lost.set())
                await connection.add_listener(
                    f"{self._names.postgres_schema}_messages",
                    lambda *given: self.told(str(given[-1])),
                )
                try:
                    await lost.wait()
                finally:
                    connection.terminate()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                if unavailable(error) is None:
                    raise
                log.warning("changes_unreachable", what=type(error).__name__)
            await asyncio.sleep(POLL_SECONDS)


class Waiter:
    """`with changes.waiter(…) as waiter: await waiter.wait(seconds)`. What happens between two waits is not missed."""

    def __init__(
        self,
        all_: dict[asyncio.Event, tuple[TenantId, frozenset[str]]],
        tenant_id: TenantId,
        conversations: frozenset[str],
    ) -> None:
        self._all = all_
        self._event = asyncio.Event()
        self._wanted = (tenant_id, conversations)

    def __enter__(self) -> "Waiter":
        self._all[self._event] = self._wanted
        return self

    def __exit__(self, *_: object) -> None:
        self._all.pop(self._event, None)

    async def wait(self, seconds: float) -> None:
        """Until something was written, or `seconds` are over, or it is time to look again anyway."""
        try:
            async with asyncio.timeout(min(seconds, POLL_SECONDS)):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()
