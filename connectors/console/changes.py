"""Wakes the requests that wait for a conversation when the sink has written to it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable

import structlog

from connectors.console.tenant_queue import Busy
from schemas import metrics
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Postgres
from schemas.topics import Names
from storage.postgres.pool import connect_directly
from storage.waiting import BackOff

log = structlog.get_logger()

MAX_WAITERS = 2_000
"""Limit of waiting requests; one tenant may have half of them."""
POLL_SECONDS = 5.0
"""A waiter looks again after at most this time, in case a notification was missed."""
UNHEARD_POLL_SECONDS = 2.0
"""The same limit while there is no connection for notifications."""
STIR_SECONDS = 2.0
"""Delay before a waiter looks again after a notification for another conversation of its tenant."""
DEAF_SECONDS = 60.0
"""Without a connection for this long, the console is not ready: it cannot read rows either."""
FIRST_BACK_OFF_SECONDS = 0.5
LONGEST_BACK_OFF_SECONDS = 10.0


class Changes:
    """One LISTEN connection for all waiting requests.

    After `end`, no request waits any more, because a role that shuts down answers at
    once.
    """

    def __init__(self, settings: Postgres, names: Names) -> None:
        self._settings = settings
        self._names = names
        self._waiters: dict[Waiter, None] = {}
        self._per_tenant: Counter[TenantId] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._heard_at = time.monotonic()
        self.is_listening = False
        self.ended = False

    async def start(self) -> None:
        self._heard_at = time.monotonic()
        self._task = asyncio.create_task(self._listen(), name="changes")

    async def stop(self) -> None:
        self.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def end(self) -> None:
        self.ended = True
        self._wake_all()

    @property
    def is_reachable(self) -> bool:
        """Whether Postgres was reachable within the last DEAF_SECONDS."""
        return self.is_listening or time.monotonic() - self._heard_at < DEAF_SECONDS

    @property
    def poll_seconds(self) -> float:
        return POLL_SECONDS if self.is_listening else min(POLL_SECONDS, UNHEARD_POLL_SECONDS)

    def waiter(
        self,
        tenant_id: TenantId,
        conversations: Iterable[str] | None,
        *,
        anywhere: bool = False,
    ) -> "Waiter":
        """Registers a request that wants to wait for changes of a tenant.

        With `conversations=None`, every change of the tenant wakes it. With `anywhere`,
        changes of the tenant's other conversations wake it too, after STIR_SECONDS.
        Raises Unavailable if too many requests wait, and Busy if too many of this
        tenant do.
        """
        if len(self._waiters) >= MAX_WAITERS:
            raise Unavailable("waiting_room")
        if self._per_tenant[tenant_id] >= max(1, MAX_WAITERS // 2):
            raise Busy
        names = None if conversations is None else frozenset(conversations)
        return Waiter(self, tenant_id, names, anywhere)

    def handle_notification(self, payload: str) -> None:
        """Handles a notification of the sink: `[[tenant, conversation], …]`, or `*`.

        Any other payload wakes all waiters.
        """
        try:
            touched = {(tenant, conversation) for tenant, conversation in json.loads(payload)}
        except (ValueError, TypeError):
            return self._wake_all()
        tenants = {tenant for tenant, _ in touched}
        for waiter in self._waiters:
            if waiter.conversations is None:
                if waiter.tenant_id in tenants:
                    waiter.wake()
            elif any((waiter.tenant_id, one) in touched for one in waiter.conversations):
                waiter.wake()
            elif waiter.anywhere and waiter.tenant_id in tenants:
                waiter.stir()
        return None

    def enter(self, waiter: "Waiter") -> None:
        self._waiters[waiter] = None
        self._per_tenant[waiter.tenant_id] += 1
        metrics.CONSOLE_WAITING.set(len(self._waiters))

    def leave(self, waiter: "Waiter") -> None:
        if waiter in self._waiters:
            del self._waiters[waiter]
            self._per_tenant[waiter.tenant_id] -= 1
            if not self._per_tenant[waiter.tenant_id]:
                del self._per_tenant[waiter.tenant_id]
            metrics.CONSOLE_WAITING.set(len(self._waiters))

    def _wake_all(self) -> None:
        for waiter in self._waiters:
            waiter.wake()

    async def _listen(self) -> None:
        """Listens until it is cancelled; after an error it logs and connects again."""
        back_off = BackOff(FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS)
        while True:
            try:
                await self._follow()
                back_off.reset()
            except Exception as error:
                log.warning("changes_unreachable", what=type(error).__name__)
            await asyncio.sleep(back_off.pause())

    async def _follow(self) -> None:
        """Listens until the connection is lost."""
        connection = await connect_directly(self._settings, self._names, "console-changes")
        lost = asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            channel = f"{self._names.postgres_schema}_messages"
            await connection.add_listener(
                channel, lambda *arguments: self.handle_notification(str(arguments[-1]))
            )
            self.is_listening = True
            self._wake_all()  # notifications were missed while there was no connection
            await lost.wait()
        finally:
            self.is_listening = False
            self._heard_at = time.monotonic()
            connection.terminate()
        log.warning("changes_connection_lost")


class Waiter:
    """One waiting request, used as `with changes.waiter(…) as waiter: await waiter.wait(seconds)`.

    Changes that occur between two calls of `wait` are not missed.
    """

    def __init__(
        self,
        changes: Changes,
        tenant_id: TenantId,
        conversations: frozenset[str] | None,
        anywhere: bool,
    ) -> None:
        self.tenant_id = tenant_id
        self.conversations = conversations
        self.anywhere = anywhere
        self._changes = changes
        self._event = asyncio.Event()
        self._stirred: asyncio.TimerHandle | None = None

    def __enter__(self) -> "Waiter":
        self._changes.enter(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._changes.leave(self)
        self._still()

    def wake(self) -> None:
        self._event.set()

    def stir(self) -> None:
        """Wakes the waiter after STIR_SECONDS."""
        if self._stirred is None:
            self._stirred = asyncio.get_running_loop().call_later(STIR_SECONDS, self.wake)

    async def wait(self, seconds: float) -> None:
        """Waits until something was written, `seconds` have passed, or it is time to look again."""
        try:
            async with asyncio.timeout(min(seconds, self._changes.poll_seconds)):
                await self._event.wait()
        except TimeoutError:
            pass
        self._still()
        self._event.clear()

    def _still(self) -> None:
        if self._stirred is not None:
            self._stirred.cancel()
            self._stirred = None
