import asyncio

import pytest

from connectors.console.tenant_queue import Busy, TenantQueue
from schemas.keys import TenantId

ACME, OTHER = TenantId("acme"), TenantId("other")


async def test_a_tenant_has_its_turns_and_its_line_and_no_more() -> None:
    turns, done = TenantQueue(running=1, waiting=1), asyncio.Event()
    running: list[str] = []

    async def work(tenant: TenantId) -> None:
        async with turns.turn(tenant):
            running.append(tenant)
            await done.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(work(ACME))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await work(ACME)
        assert running == [ACME]
        group.create_task(work(OTHER))  # another tenant does not wait behind it
        await asyncio.sleep(0)
        assert running == [ACME, OTHER]
        done.set()
    assert running == [ACME, OTHER, ACME]


async def test_a_turn_that_fails_or_is_cancelled_is_given_back() -> None:
    turns = TenantQueue(running=1, waiting=0)
    for error in (ValueError, asyncio.CancelledError):
        with pytest.raises(error):
            async with turns.turn(ACME):
                raise error
    async with turns.turn(ACME):
        pass
    assert turns._lines == {}
