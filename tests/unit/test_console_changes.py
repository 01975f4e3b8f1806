import asyncio
import json

import pytest

from connectors.console import changes as module
from connectors.console.changes import Changes
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Postgres
from schemas.topics import Names

ACME = TenantId("acme")


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Changes:
    """Nobody looks again by himself: only a notification wakes."""
    monkeypatch.setattr(module, "POLL_SECONDS", 60.0)
    return Changes(Postgres(), Names("test"))


async def woken(changes: Changes, payload: str, *, seconds: float = 60.0) -> bool:
    with changes.waiter(ACME, ["one", "alias"]) as waiter:
        changes.told(payload)
        try:
            async with asyncio.timeout(0.05):
                await waiter.wait(seconds)
        except TimeoutError:
            return False
        return True


@pytest.mark.parametrize(
    "touched",
    [[["acme", "one"]], [["acme", "alias"]], [["other", "one"], ["acme", "two"], ["acme", "one"]]],
)
async def test_who_waits_is_woken_by_each_name_of_the_conversation(
    changes: Changes, touched: list[list[str]]
) -> None:
    assert await woken(changes, json.dumps(touched))


@pytest.mark.parametrize("touched", [[], [["acme", "two"]], [["other", "one"]]])
async def test_other_conversations_and_other_tenants_wake_nobody(
    changes: Changes, touched: list[list[str]]
) -> None:
    assert not await woken(changes, json.dumps(touched))


async def test_a_batch_too_large_to_name_wakes_all(changes: Changes) -> None:
    assert await woken(changes, "*")


async def test_a_wait_ends_at_its_deadline(changes: Changes) -> None:
    assert await woken(changes, "[]", seconds=0.001)


async def test_what_was_told_between_two_waits_is_not_missed(changes: Changes) -> None:
    with changes.waiter(ACME, ["one"]) as waiter:
        for _ in range(2):
            changes.told('[["acme","one"]]')
            async with asyncio.timeout(5):
                await waiter.wait(60.0)


async def test_the_end_wakes_all_for_good(changes: Changes) -> None:
    with changes.waiter(ACME, ["one"]) as waiter:
        changes.end()
        async with asyncio.timeout(5):
            await waiter.wait(60.0)
    assert changes.ended


async def test_there_is_an_end_to_how_many_may_wait(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITERS", 1)
    with changes.waiter(ACME, ["one"]), pytest.raises(Unavailable):
        changes.waiter(ACME, ["one"])
    with changes.waiter(ACME, ["one"]):
        pass
