"""The feed of changes skips nothing, in whichever order sinks commit.

A cursor stays valid over restarts and restores.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.console import changes, feed, response_models
from connectors.console.change_positions import ChangePosition, place_of, place_text
from connectors.console.queries import ContextBounds
from schemas.keys import TenantId
from schemas.records import Attachment
from schemas.settings import Settings
from storage.postgres.directory import key_id
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy
from tests.integration.console import CONVERSATION, Console, key_of, problem, row
from tests.integration.contexts import PENDING, ago
from tests.integration.databases import Connection, connected, merge
from tests.integration.waiting import until

ACME = TenantId("acme")


async def page(console: Console, query: str = "", tenant: str = "acme") -> dict[str, Any]:
    answer = await console.get(f"/api/messages?{query}", tenant)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    response_models.Feed.model_validate(document)
    return document


def names(document: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one["message_key"].rpartition(":")[2], one["version"]) for one in document["messages"]]


@asynccontextmanager
async def sink(stack: Settings, console: Console) -> AsyncIterator[Connection]:
    """A connection of another sink, in a transaction that it has announced."""
    async with connected(stack.postgres, console.names) as connection:
        await connection.execute("BEGIN")
        await connection.execute(queries("sink")["announce_writing"])
        yield connection


# --- what is in it


async def test_a_tenant_without_messages_has_an_empty_feed_and_a_cursor(console: Console) -> None:
    empty = await page(console)
    assert (empty["messages"], empty["more"]) == ([], False)
    await console.write(row("1", content="hola"))
    assert names(await page(console, f"after={empty['cursor']}")) == [("1", 1)]


async def test_each_message_says_what_a_bot_needs_to_know_of_it(console: Console) -> None:
    seen = Attachment(index=0, type="image", status="described", description="Un perro.", model="m")
    await console.write(row("1", seen, content="mira", sender_id="34600", sender_name="Ana"))
    (shown,) = (await page(console))["messages"]
    wanted = {
        "message_key": key_of("1"), "conversation_id": CONVERSATION, "provider": "ycloud", "role": "user", "direction": "inbound", "kind": "image",
        "status": "complete", "version": 1, "generation": 0, "content": "mira", "sender_id": "34600", "sender_name": "Ana",
        "visual_context": "[CONTEXTO VISUAL: Un perro.]",
    }  # fmt: skip
    assert {name: shown[name] for name in wanted} == wanted
    assert shown["attachments"][0]["model"] == "m"


async def test_a_change_comes_again_in_its_newest_version_and_nothing_else_does(
    console: Console,
) -> None:
    arrived = ago(1)
    await console.write(row("1", PENDING, **arrived), row("2", content="dos"))
    first = await page(console)
    assert names(first) == [("1", 1), ("2", 1)]
    await console.write(row("1", PENDING, version=2, **arrived))
    await console.write(row("1", PENDING, version=5001, **arrived))
    await console.write(row("2", content="older", version=1))
    second = await page(console, f"after={first['cursor']}")
    assert names(second) == [("1", 5001)] and second["messages"][0]["generation"] == 5
    assert names(await page(console, f"after={second['cursor']}")) == []


async def test_messages_of_one_batch_come_in_the_order_of_their_arrival(console: Console) -> None:
    await console.write(*(row(str(number), **ago(number)) for number in (2, 5, 1, 4, 3)))
    assert [name for name, _ in names(await page(console))] == ["5", "4", "3", "2", "1"]


async def test_pages_follow_each_other_without_gap_or_overlap(console: Console) -> None:
    await console.write(*(row(f"{number:02}", **ago(20)) for number in range(7)))
    await console.write(*(row(f"{number:02}", **ago(20)) for number in range(7, 10)))
    found, after = [], ""
    for _ in range(4):
        answer = await page(console, f"limit=3{after}")
        found.append(([name for name, _ in names(answer)], answer["more"]))
        after = f"&after={answer['cursor']}"
    assert found == [
        (["00", "01", "02"], True), (["03", "04", "05"], True), (["06", "07", "08"], True), (["09"], False),
    ]  # fmt: skip


async def test_an_answer_keeps_within_its_bytes_and_the_next_one_has_the_rest(
    console: Console,
) -> None:
    await console.write(*(row(f"{n:02}", content="x" * 30_000, **ago(30 - n)) for n in range(20)))
    found: list[str] = []
    after, answered = "", 0
    while True:
        answer = await page(console, after)
        assert len(str(answer)) < ContextBounds().total_bytes + 40_000
        found += [name for name, _ in names(answer)]
        answered += 1
        if not answer["more"]:
            break
        after = f"after={answer['cursor']}"
    assert found == [f"{n:02}" for n in range(20)] and answered > 1


async def test_private_notes_and_other_tenants_are_not_in_it(console: Console) -> None:
    await console.write(
        row("note", kind="note", direction="outbound"),
        row("mine"),
        row("theirs", tenant="other"),
    )
    assert names(await page(console)) == [("mine", 1)]
    assert names(await page(console, tenant="other")) == [("theirs", 1)]


async def test_latest_begins_with_what_changes_from_now_on(console: Console) -> None:
    await console.write(row("old"))
    now = await page(console, "after=latest")
    assert now["messages"] == []
    await console.write(row("new"))
    assert names(await page(console, f"after={now['cursor']}")) == [("new", 1)]


# --- filters


async def test_a_status_and_a_conversation_by_any_of_its_names_can_be_asked_for(
    console: Console,
) -> None:
    await console.write(
        row("pending", PENDING),
        row("complete"),
        row("alias", conversation_id="15550109999~user.7", aliases=(CONVERSATION,)),
        row("elsewhere", conversation_id="elsewhere"),
    )
    assert {name for name, _ in names(await page(console, "status=pending"))} == {"pending"}
    both = await page(console, "status=pending&status=complete")
    assert len(both["messages"]) == 4
    one = await page(console, f"conversation={CONVERSATION}&status=complete")
    assert {name for name, _ in names(one)} == {"complete", "alias"}
    problem(await console.get("/api/messages?status=done"), 422)


async def test_what_a_filter_passes_over_is_looked_through_once(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "SCANNED", 3)
    await console.write(*(row(f"{n}", **ago(30 - n)) for n in range(5)), row("last", PENDING))
    first = await page(console, "status=pending")
    assert (first["messages"], first["more"]) == ([], True)
    second = await page(console, f"status=pending&after={first['cursor']}")
    assert names(second) == [("last", 1)]


# --- sinks that commit in any order


async def test_a_change_is_not_passed_over_whose_transaction_began_before_one_that_is_served(
    stack: Settings, console: Console
) -> None:
    start = (await page(console, "after=latest"))["cursor"]
    async with sink(stack, console) as slow:
        await merge(slow, row("slow", **ago(1)))
        await console.write(row("fast"))
        held = await page(console, f"after={start}")
        assert held["messages"] == []
        waiting = asyncio.create_task(page(console, f"wait_seconds=25&after={held['cursor']}"))
        await until(lambda: bool(console.parts.changes._waiters))
        await slow.execute("COMMIT")  # and no word to those who wait
        assert names(await waiting) == [("slow", 1), ("fast", 1)]


async def test_a_sink_that_has_announced_itself_and_no_number_yet_is_waited_for_when_it_has_one(
    stack: Settings, console: Console
) -> None:
    async with sink(stack, console) as slow:
        await console.write(row("before"))
        first = await page(console)
        await merge(slow, row("slow"))
        await console.write(row("after"))
        second = await page(console, f"after={first['cursor']}")
        await slow.execute("COMMIT")
        third = await page(console, f"after={second['cursor']}")
    assert names(first) + names(second) + names(third) == [("before", 1), ("slow", 1), ("after", 1)]


async def test_the_oldest_number_of_a_sink_counts_when_it_has_newer_ones_for_its_savepoints(
    stack: Settings, console: Console
) -> None:
    number = "SELECT pg_current_xact_id()::text::bigint"
    async with (
        sink(stack, console) as slow,
        connected(stack.postgres, console.names) as reader,
        connected(stack.postgres, console.names) as other,
    ):
        mine = await slow.fetchval(number)
        await other.fetchval(number)
        # What is read of transactions is of this moment, what is read of locks is of later.
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await reader.fetchval("SELECT pg_current_snapshot()::text")
        await other.fetchval(number)
        await slow.execute("SAVEPOINT one")
        await merge(slow, row("1"))
        edge = await reader.fetchrow(queries("console")["edge"])
        assert edge["xid"] <= mine
        await reader.execute("ROLLBACK")
        await slow.execute("ROLLBACK")


async def test_a_long_transaction_that_writes_no_message_holds_nothing_back(
    stack: Settings, console: Console
) -> None:
    async with connected(stack.postgres, console.names) as other:
        await other.execute("BEGIN")
        await other.execute("INSERT INTO generations (command, detail) VALUES ('x', 'x')")
        await console.write(row("1"))
        assert names(await page(console)) == [("1", 1)]


async def test_a_transaction_that_is_rolled_back_leaves_no_gap(
    stack: Settings, console: Console
) -> None:
    async with sink(stack, console) as failing:
        await merge(failing, row("never"))
        await console.write(row("1"))
        await failing.execute("ROLLBACK")
        assert names(await page(console)) == [("1", 1)]


async def test_no_change_is_missed_while_many_sinks_write_at_once(
    stack: Settings, console: Console
) -> None:
    async def writes(worker: int) -> None:
        async with connected(stack.postgres, console.names) as connection:
            for number in range(12):
                async with connection.transaction():
                    await connection.execute(queries("sink")["announce_writing"])
                    await merge(connection, row(f"{worker}-{number}"))
                    await asyncio.sleep(0.001 * ((worker * 7 + number * 5) % 11))

    writing = asyncio.gather(*(writes(worker) for worker in range(5)))
    found: list[str] = []
    after, done = "", False
    while True:
        done = writing.done()
        answer = await page(console, f"limit=4{after}")
        found += [name for name, _ in names(answer)]
        after = f"&after={answer['cursor']}"
        if done and not answer["more"]:
            break
    await writing
    assert sorted(found) == sorted(f"{w}-{n}" for w in range(5) for n in range(12))
    everything = await page(console, "limit=500")
    assert [name for name, _ in names(everything)] == found


# --- waiting


async def test_a_waiting_request_is_answered_when_the_sink_has_written(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 60.0)
    await until(lambda: console.parts.changes.is_listening)
    waiting = asyncio.create_task(page(console, "wait_seconds=25&after=latest"))
    await until(lambda: bool(console.parts.changes._waiters))
    began = time.monotonic()
    await console.write(row("theirs", tenant="other"))
    await console.write(row("1", conversation_id="anywhere"))
    assert names(await waiting) == [("1", 1)] and time.monotonic() - began < 15


async def test_a_wait_for_a_filter_continues_until_something_fits_it(console: Console) -> None:
    waiting = asyncio.create_task(page(console, "wait_seconds=25&status=pending"))
    await until(lambda: bool(console.parts.changes._waiters))
    await console.write(row("1"))
    await console.write(row("2", PENDING))
    assert names(await waiting) == [("2", 1)]


@pytest.mark.parametrize(
    "path",
    ["/api/messages?after=latest", f"/api/conversations/{CONVERSATION}/context?within_seconds=99"],
)
async def test_a_wait_whose_key_is_revoked_meanwhile_is_answered_401(
    console: Console, path: str
) -> None:
    await console.write(row("0", PENDING))
    waiting = asyncio.create_task(console.get(f"{path}&wait_seconds=25"))
    await until(lambda: bool(console.parts.changes._waiters))
    key = console.keys["acme", "read"]
    await Tenancy(console.connection, console.vault).revoke_key(key_id(key))
    await until(lambda: console.parts.directory.key(key) is None)
    await console.write(row("1"))
    problem(await waiting, 401)


async def test_a_wait_ends_at_its_deadline_with_a_cursor_to_continue_from(console: Console) -> None:
    began = time.monotonic()
    answer = await page(console, "wait_seconds=0.3")
    assert answer["messages"] == [] and time.monotonic() - began >= 0.3
    await console.write(row("1"))
    assert names(await page(console, f"after={answer['cursor']}")) == [("1", 1)]


# --- cursors


async def test_what_is_not_a_cursor_of_the_tenant_is_told_what_to_send(console: Console) -> None:
    await console.write(row("1", tenant="other"))
    foreign = (await page(console, tenant="other"))["cursor"]
    context = await console.get(f"/api/conversations/{CONVERSATION}/context")
    for wrong in ("x", "f", "now", "f%00", foreign, context.json()["as_of"], foreign[:-3]):
        said = problem(await console.get(f"/api/messages?after={wrong}"), 422)["detail"]
        assert said.startswith("after: not a cursor of this API for this tenant"), wrong


async def test_a_cursor_that_is_ahead_of_the_database_is_gone_and_the_answer_says_how_to_continue(
    console: Console,
) -> None:
    await console.write(row("1"))
    now = place_of(ACME, (await page(console))["cursor"])
    for ahead in (now._replace(xid=now.xid + 10**9), now._replace(era=now.era + 10**9)):
        answer = await console.get(f"/api/messages?after={place_text(ACME, ahead)}")
        assert "after=latest" in problem(answer, 410)["detail"]


async def test_a_cursor_from_before_a_restore_continues_with_what_was_written_since(
    console: Console,
) -> None:
    """The database is a copy.

    It was started later than the cursor was issued, and counts its transactions from a
    lower number.
    """
    await console.write(row("1"), row("2"))
    before = await page(console)
    place = place_of(ACME, before["cursor"])
    await console.connection.execute(
        "UPDATE feed_eras SET started_at = started_at - interval '1 hour', era = era - 3600000000"
    )
    await console.connection.execute(
        "UPDATE chat_messages SET changed_era = changed_era - 3600000000, changed_xid = changed_xid + 1000000000"
    )
    older = place_text(ACME, place._replace(era=place.era - 3600000000, xid=place.xid + 10**9))
    assert names(await page(console)) == [("1", 1), ("2", 1)]
    assert names(await page(console, f"after={older}")) == []
    await console.write(row("3"))
    assert names(await page(console, f"after={older}")) == [("3", 1)]
    assert [name for name, _ in names(await page(console))] == ["1", "2", "3"]


async def test_rows_from_before_the_feed_come_first_in_the_order_of_their_arrival(
    console: Console,
) -> None:
    await console.write(row("b", **ago(10)), row("a", **ago(20)))
    await console.connection.execute("UPDATE chat_messages SET changed_era = 0, changed_xid = 0")
    await console.write(row("c"))
    assert [name for name, _ in names(await page(console))] == ["a", "b", "c"]
    assert place_of(
        ACME, place_text(ACME, ChangePosition(0, 0, datetime(2026, 1, 1, tzinfo=UTC), "k"))
    )


# --- conversations


async def listed(console: Console, query: str = "") -> dict[str, Any]:
    document: dict[str, Any] = (await console.get(f"/api/conversations?{query}")).json()
    response_models.Conversations.model_validate(document)
    return document


async def test_conversations_are_listed_with_their_counts_and_times(console: Console) -> None:
    early, late = ago(60), ago(5)
    await console.write(
        row("1", content="hola", conversation_id="c1", aliases=("c1-number",), **early),
        row("2", PENDING, conversation_id="c1", direction="outbound", role="assistant", **late),
        row("n", kind="note", conversation_id="c1"),
        row("3", conversation_id="c2"),
        row("4", conversation_id="c3", tenant="other"),
    )
    document = await listed(console)
    assert [one["conversation_id"] for one in document["conversations"]] == ["c1", "c2"]
    assert document["next"] is None
    assert document["conversations"][0] == {
        "conversation_id": "c1", "aliases": ["c1-number"], "providers": ["ycloud"], "messages": 2, "pending": 1, "degraded": 0,
        "first_received_at": early["received_at"].isoformat(), "last_received_at": late["received_at"].isoformat(),
        "last_inbound_at": early["received_at"].isoformat(), "last_outbound_at": late["received_at"].isoformat(),
    }  # fmt: skip


async def test_conversations_come_in_pages(console: Console) -> None:
    await console.write(*(row(str(n), conversation_id=f"c{n}") for n in range(5)))
    found, after = [], ""
    while True:
        document = await listed(console, f"limit=2{after}")
        found.append([one["conversation_id"] for one in document["conversations"]])
        if document["next"] is None:
            break
        after = f"&after={document['next']}"
    assert found == [["c0", "c1"], ["c2", "c3"], ["c4"]]
