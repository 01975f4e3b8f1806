"""Limits per tenant on how much runs at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.errors import ConnectorsError
from schemas.keys import TenantId


class Busy(ConnectorsError):
    """The tenant has as many requests in progress as it may have; this one can be repeated."""


STREAMS_PER_SESSION = 12
STREAMS_PER_TENANT = 80
"""Fewer than the statements of pages that may wait (`MOST_IN_LINE`).

A message that wakes every stream of a tenant therefore leaves room for its pages.
"""
KAFKA_SHARE = 2
KAFKA_WAITING = 4
KAFKA_READS = 4


class _Line:
    def __init__(self, running: int) -> None:
        self.free = asyncio.Semaphore(running)
        self.entered = 0


class TenantQueue:
    """Lets at most `running` tasks of a tenant run at once, while up to `waiting` more queue.

    The queues of different tenants are independent.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._running = running
        self._most = running + waiting
        self._lines: dict[TenantId, _Line] = {}

    @asynccontextmanager
    async def turn(self, tenant_id: TenantId) -> AsyncIterator[None]:
        """Waits for a turn. Raises Busy if the tenant's queue is full."""
        line = self._lines.setdefault(tenant_id, _Line(self._running))
        if line.entered >= self._most:
            raise Busy
        line.entered += 1
        try:
            async with line.free:
                yield
        finally:
            line.entered -= 1
            if not line.entered:
                self._lines.pop(tenant_id, None)


class StreamTurns:
    """Limits the event streams that are open at once, per session and per tenant.

    It does not count by account, because the people of a portal share one.
    """

    def __init__(self) -> None:
        self._sessions = TenantQueue(STREAMS_PER_SESSION, 0)
        self._tenants = TenantQueue(STREAMS_PER_TENANT, 0)

    @asynccontextmanager
    async def turn(self, session: str, tenant_id: TenantId) -> AsyncIterator[None]:
        """Takes a place at once. Raises Busy if none is free."""
        async with self._sessions.turn(TenantId(session)), self._tenants.turn(tenant_id):
            yield


class KafkaTurns:
    """Limits the reads from Kafka, per tenant and in total.

    Each such read creates a consumer and may take many seconds.
    """

    def __init__(self) -> None:
        self._turns = TenantQueue(KAFKA_SHARE, KAFKA_WAITING)
        self._all = asyncio.Semaphore(KAFKA_READS)

    @asynccontextmanager
    async def turn(self, tenant_id: TenantId) -> AsyncIterator[None]:
        """Waits for a turn. Raises Busy if the tenant's queue is full."""
        async with self._turns.turn(tenant_id), self._all:
            yield
