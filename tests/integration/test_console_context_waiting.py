"""A request for a context waits no longer than it may, and says what is still pending."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from connectors.console import changes, response_models
from connectors.console.app import create_console
from schemas.keys import TenantId
from schemas.records import Attachment
from schemas.settings import Settings
from storage.waiting import Deadline
from tests.integration.console import Console, key_of, problem, row
from tests.integration.contexts import CONTEXT, PENDING, ago, context, described
from tests.integration.databases import connected, merge
from tests.integration.waiting import until

WAIT_SECONDS = 25


async def test_without_waiting_it_answers_with_what_there_is(console: Console) -> None:
    await console.write(row("1", PENDING), row("2", content="hola"))
    answer = await context(console, f"wait_for={key_of('3')}&wait_for={key_of('2')}")
    assert answer["pending"] == [key_of("1"), key_of("3")]


async def test_a_message_that_is_pending_and_waited_for_is_named_once(console: Console) -> None:
    await console.write(row("1", PENDING))
    assert (await context(console, f"wait_for={key_of('1')}"))["pending"] == [key_of("1")]


async def test_waiting_with_nothing_pending_ends_at_once(console: Console) -> None:
    await console.write(row("1", content="hola"))
    began = time.monotonic()
    answer = await context(console, f"wait_seconds={WAIT_SECONDS}&wait_for={key_of('1')}")
    assert answer["pending"] == [] and time.monotonic() - began < WAIT_SECONDS - 5


async def test_waiting_ends_as_soon_as_nothing_is_pending(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 60.0)  # only the sink's word ends it
    arrived = ago(1)
    await console.write(row("1", PENDING, **arrived))
    await until(lambda: _listens(console), what="the console listens")
    began = time.monotonic()
    named = "".join(f"&wait_for={key_of(one)}" for one in ("1", "2"))
    waiting = asyncio.create_task(context(console, f"wait_seconds={WAIT_SECONDS}{named}"))
    await until(lambda: bool(console.parts.changes._waiters))
    await console.write(row("2", content="hola"))
    await console.write(row("1", described("Un perro."), version=2, **arrived))
    answer = await waiting
    assert time.monotonic() - began < WAIT_SECONDS - 5
    assert (answer["pending"], answer["visual_context"]) == ([], "[CONTEXTO VISUAL: Un perro.]")


async def _listens(console: Console) -> bool:
    query = f'LISTEN "{console.names.postgres_schema}_messages"%'
    return bool(
        await console.connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE $1", query
        )
    )


async def test_waiting_ends_at_the_deadline_with_what_there_is(console: Console) -> None:
    await console.write(row("1", PENDING))
    began = time.monotonic()
    answer = await context(console, f"wait_seconds=0.3&wait_for={key_of('2')}")
    assert answer["pending"] == [key_of("1"), key_of("2")] and len(answer["messages"]) == 1
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (
            key_of("1", "other"),
            "belongs to another tenant than this API key, which belongs to acme",
        ),
        ("future1", "is not a message key; a message key is tenant:provider:provider_message_id"),
        ("acme:ycloud", "is not a message key"),
        ("acme:ycloud:", "is not a message key"),
        ("acme:YCloud:1", "is not a message key"),
        ("acme:ycloud:" + "x" * 513, "is not a message key"),
        ("acme:ycloud:%00", "is not a message key"),
    ],
)
async def test_a_key_that_no_message_of_the_tenant_can_have_is_not_waited_for(
    console: Console, key: str, said: str
) -> None:
    answer = await console.get(f"{CONTEXT}?wait_seconds=20&wait_for={key_of('1')}&wait_for={key}")
    assert said in problem(answer, 422)["detail"]


async def test_a_message_in_another_conversation_can_be_waited_for(console: Console) -> None:
    await console.write(row("1", content="hola", conversation_id="elsewhere"))
    assert (await context(console, f"wait_seconds={WAIT_SECONDS}&wait_for={key_of('1')}"))[
        "pending"
    ] == []


async def test_a_degraded_message_is_not_pending(console: Console) -> None:
    failed = Attachment(index=0, type="image", status="failed", reason="media_gone")
    await console.write(row("1", failed))
    answer = await context(console, f"wait_for={key_of('1')}")
    assert (
        answer["pending"] == []
        and answer["messages"][0]["attachments"][0]["reason"] == "media_gone"
    )


async def test_a_console_that_drains_answers_who_waits(console: Console) -> None:
    await console.write(row("1", PENDING))
    waiting = asyncio.create_task(context(console, f"wait_seconds={WAIT_SECONDS}"))
    await until(lambda: bool(console.parts.changes._waiters))
    began = time.monotonic()
    console.parts.changes.end()
    assert (await waiting)["pending"] == [
        key_of("1")
    ] and time.monotonic() - began < WAIT_SECONDS - 5
    assert (await console.get("/readyz", scope="")).status_code == 503


@pytest.mark.parametrize(
    "query",
    ["wait_seconds=30.1", "wait_seconds=-1", "wait_seconds=nan", "wait_seconds=x", "within_seconds=0", "within_seconds=-5", "within_seconds=inf",
     "wait_for=%00", "&".join(["wait_for=x"] * 51)],
)  # fmt: skip
async def test_what_cannot_be_asked_for_is_unprocessable(console: Console, query: str) -> None:
    document = problem(await console.get(f"{CONTEXT}?{query}"), 422)
    assert document["detail"]


async def test_thirty_seconds_can_be_asked_for(console: Console) -> None:
    assert (await context(console, "wait_seconds=30"))["pending"] == []


# --- what waits for what


async def test_only_the_named_messages_are_waited_for(console: Console) -> None:
    await console.write(row("dead", PENDING), row("1", content="hola"))
    began = time.monotonic()
    answer = await context(console, f"wait_seconds={WAIT_SECONDS}&wait_for={key_of('1')}")
    assert answer["pending"] == [key_of("dead")] and time.monotonic() - began < WAIT_SECONDS - 5


async def test_a_message_that_was_waited_for_long_enough_costs_no_turn_its_wait(
    console: Console,
) -> None:
    await console.write(row("dead", PENDING, **ago(31)))
    began = time.monotonic()
    answer = await context(console, f"wait_seconds={WAIT_SECONDS}")
    assert answer["pending"] == [key_of("dead")] and time.monotonic() - began < WAIT_SECONDS - 5
    named = await context(console, f"wait_seconds=0.3&wait_for={key_of('dead')}")
    assert named["pending"] == [key_of("dead")] and time.monotonic() - began >= 0.3


async def test_a_request_can_wait_for_what_is_newer_than_an_earlier_answer(
    console: Console,
) -> None:
    arrived = ago(2)
    await console.write(row("1", content="hola", **arrived))
    mark = (await context(console))["as_of"]
    quiet = await context(console, f"newer_than={mark}&wait_seconds=0.3")
    assert len(quiet["messages"]) == 1
    waiting = asyncio.create_task(
        context(console, f"newer_than={quiet['as_of']}&wait_seconds={WAIT_SECONDS}")
    )
    await until(lambda: bool(console.parts.changes._waiters))
    await console.write(row("x", content="otra", conversation_id="elsewhere"))
    await console.write(row("1", content="hola", version=2, **arrived))
    changed = await waiting
    assert [one["version"] for one in changed["messages"]] == [2]
    await console.write(row("2", content="dos"))
    began = time.monotonic()
    newer = await context(console, f"newer_than={changed['as_of']}&wait_seconds={WAIT_SECONDS}")
    assert len(newer["messages"]) == 2 and time.monotonic() - began < WAIT_SECONDS - 5


async def test_a_change_that_was_not_committed_at_an_answer_is_newer_than_it(
    stack: Settings, console: Console
) -> None:
    async with connected(stack.postgres, console.names) as slow:
        await slow.execute("BEGIN")
        await merge(slow, row("slow", content="tarde"))
        await console.write(row("fast", content="pronto"))
        mark = (await context(console))["as_of"]
        await slow.execute("COMMIT")
    answer = await context(console, f"newer_than={mark}&wait_seconds={WAIT_SECONDS}")
    assert len(answer["messages"]) == 2


async def test_a_request_can_wait_until_the_customer_has_sent_nothing_for_a_while(
    console: Console,
) -> None:
    earlier, later = ago(0.4), ago(0.2)
    await console.write(row("2", content="dos", **later))
    waiting = asyncio.create_task(
        context(console, f"wait_for={key_of('2')}&quiet_seconds=10&wait_seconds={WAIT_SECONDS}")
    )
    await until(lambda: bool(console.parts.changes._waiters))
    await console.write(row("1", content="uno", **earlier))
    assert not waiting.done()
    began = time.monotonic()
    async with console.connection.transaction():  # as if a while passed, and then the bot wrote
        await console.connection.execute(
            "UPDATE chat_messages SET received_at = received_at - interval '20 seconds'"
        )
        await console.write(row("bot", content="!", direction="outbound", role="assistant"))
    contents = [one["content"] for one in (await waiting)["messages"]]
    assert contents == ["uno", "dos", "!"] and time.monotonic() - began < WAIT_SECONDS - 5


async def test_a_wait_for_silence_ends_when_nothing_more_comes_and_no_later_than_it_may(
    console: Console,
) -> None:
    await console.write(row("2", content="dos", **ago(0)))
    began = time.monotonic()
    await context(console, f"quiet_seconds=1&wait_seconds={WAIT_SECONDS}&wait_for={key_of('2')}")
    assert time.monotonic() - began < WAIT_SECONDS - 5
    await console.write(row("3", content="tres", **ago(0)))
    began = time.monotonic()
    await context(console, f"quiet_seconds=10&wait_seconds=0.3&wait_for={key_of('2')}")
    assert time.monotonic() - began >= 0.3


class Late:
    """Reports a message that was accepted earlier and becomes a row only now."""

    def __init__(self, console: Console, known: bool) -> None:
        self._console = console
        self._known = known
        self._arrived = ago(3)  # however late it becomes a row

    async def is_stored(self, tenant_id: TenantId, deadline: Deadline) -> bool:
        assert tenant_id == "acme" and not deadline.has_passed
        await self._console.write(row("1", content="uno", **self._arrived))
        return self._known


@pytest.mark.parametrize("asked", ["", "in_order=true&"], ids=["by wait_for", "by in_order"])
@pytest.mark.parametrize("known", [True, False])
async def test_an_answer_in_order_has_what_was_accepted_before_and_says_whether_that_is_known(
    console: Console, known: bool, asked: str
) -> None:
    accepted: Any = Late(console, known)
    await console.write(row("2", content="dos", **ago(1)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_console(replace(console.parts, accepted=accepted))),
        base_url="http://console",
    ) as client:
        answer = await client.get(
            f"{CONTEXT}?{asked}wait_seconds=5&wait_for={key_of('2')}",
            headers={"authorization": f"Bearer {console.keys['acme', 'read']}"},
        )
        at_once = await client.get(
            f"{CONTEXT}?in_order=false&wait_seconds=5&wait_for={key_of('2')}",
            headers={"authorization": f"Bearer {console.keys['acme', 'read']}"},
        )
    assert "in_order" not in at_once.json()
    document = answer.json()
    response_models.Context.model_validate(document)
    assert [one["content"] for one in document["messages"]] == ["uno", "dos"]
    assert document["in_order"] is known


async def test_a_console_that_cannot_ask_kafka_says_that_the_order_is_not_known(
    console: Console,
) -> None:
    assert (await context(console, "in_order=true"))["in_order"] is False
    assert "in_order" not in await context(console)
