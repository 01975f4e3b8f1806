import asyncio
import json

import asyncpg
import pytest

from connectors.console import changes as module
from connectors.console.changes import Changes
from connectors.console.tenant_queue import Busy
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Postgres
from schemas.topics import Names

ACME = TenantId("acme")


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Changes:
    """Changes whose waiters do not look again by themselves: only a notification wakes them."""
    monkeypatch.setattr(module, "POLL_SECONDS", 60.0)
    return Changes(Postgres(), Names("test"))


async def woken(changes: Changes, payload: str, *, seconds: float = 60.0) -> bool:
    with changes.waiter(ACME, ["one", "alias"]) as waiter:
        changes.handle_notification(payload)
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
            changes.handle_notification('[["acme","one"]]')
            async with asyncio.timeout(30):
                await waiter.wait(60.0)


async def test_the_end_wakes_all_permanently(changes: Changes) -> None:
    with changes.waiter(ACME, ["one"]) as waiter:
        changes.end()
        async with asyncio.timeout(30):
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


async def test_one_tenant_may_have_half_of_those_who_wait(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITERS", 4)
    with changes.waiter(ACME, ["one"]), changes.waiter(ACME, ["two"]):
        with pytest.raises(Busy):
            changes.waiter(ACME, ["three"])
        with changes.waiter(TenantId("other"), ["one"]):
            pass
    with changes.waiter(ACME, ["three"]):
        pass


async def test_news_of_another_conversation_wake_in_a_while_who_waits_for_any(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STIR_SECONDS", 0.01)
    with changes.waiter(ACME, ["one"], anywhere=True) as waiter:
        changes.handle_notification('[["acme","two"],["acme","three"]]')
        async with asyncio.timeout(30):
            await waiter.wait(60.0)


@pytest.mark.parametrize("payload", ["", "{", "3", "[3]", '[["acme"]]', '[[["x"],"y"]]', "null"])
async def test_a_notification_that_cannot_be_read_wakes_all(changes: Changes, payload: str) -> None:
    assert await woken(changes, payload)


@pytest.mark.parametrize(
    "error",
    [ValueError("a bug"), KeyError("x"), asyncpg.InvalidPasswordError("no"), OSError("away")],
    ids=lambda error: type(error).__name__,
)
async def test_listening_continues_whatever_goes_wrong(
    changes: Changes, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tried = asyncio.Event()
    failures = [error, error]

    async def connecting(*_: object) -> None:
        if failures:
            raise failures.pop()
        tried.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(module, "connect_directly", connecting)
    monkeypatch.setattr(module, "FIRST_BACK_OFF_SECONDS", 0.01)
    await changes.start()
    async with asyncio.timeout(30):
        await tried.wait()
    await changes.stop()


async def test_a_console_that_could_not_listen_for_long_is_not_reachable(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert changes.is_reachable
    monkeypatch.setattr(module, "DEAF_SECONDS", -1.0)
    assert not changes.is_reachable
    changes.is_listening = True
    assert changes.is_reachable
