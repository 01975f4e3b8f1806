"""A bound per tenant on what runs at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.errors import ConnectorsError
from schemas.keys import TenantId


class Busy(ConnectorsError):
    """The tenant has as much under way as it may have; the request can be repeated."""


KAFKA_SHARE = 2
KAFKA_WAITING = 4
KAFKA_READS = 4


class _Line:
    def __init__(self, running: int) -> None:
        self.free = asyncio.Semaphore(running)
        self.entered = 0


class TenantQueue:
    """At most `running` of a tenant at once, and `waiting` more in line.

    The lines of different tenants know nothing of each other.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._running = running
        self._most = running + waiting
        self._lines: dict[TenantId, _Line] = {}

    @asynccontextmanager
    async def turn(self, tenant_id: TenantId) -> AsyncIterator[None]:
        """Raises Busy when the line is full."""
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


class KafkaTurns:
    """Who may read Kafka now: a few of a tenant, and a few in all.

    Such a read makes a consumer and may take many seconds.
    """

    def __init__(self) -> None:
        self._turns = TenantQueue(KAFKA_SHARE, KAFKA_WAITING)
        self._all = asyncio.Semaphore(KAFKA_READS)

    @asynccontextmanager
    async def turn(self, tenant_id: TenantId) -> AsyncIterator[None]:
        """Raises Busy when the tenant's line is full."""
        async with self._turns.turn(tenant_id), self._all:
            yield
