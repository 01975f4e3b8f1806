"""Limits per tenant on how much runs at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.errors import ConnectorsError
from schemas.keys import TenantId


class Busy(ConnectorsError):
    """The tenant has as many requests in progress as it may have; this one can be repeated."""


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
