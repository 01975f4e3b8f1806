"""A rare cause of failed files is found by its index, a frequent one by reading messages in order."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.console.pages import reading
from schemas.keys import TenantId
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.sql import queries
from tests.integration.databases import Connection, schema
from tests.integration.plans import plan, walked

FAR = datetime(9999, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
FILL = """INSERT INTO chat_messages (tenant_id, message_key, provider, conversation_id, role, direction, kind,
        content_attributes, status, version, occurred_at, received_at, enriched_at)
    SELECT tenant, tenant || ':ycloud:' || n, 'ycloud', 'c' || n % 900, 'user', 'inbound', 'image',
        jsonb_build_object('attachments', jsonb_build_array(jsonb_build_object('index', 0, 'type', 'image',
            'status', 'failed', 'original_url', 'https://files.example.com/' || n, 'reason', CASE WHEN n % 10000 = 7
            THEN 'audio_silent' ELSE (ARRAY['media_gone', 'media_timeout', 'model_timeout'])[1 + n % 3] END))),
        'degraded', 1, at, at, at
    FROM generate_series(1, 30000) AS n, unnest(ARRAY['acme', '*']) AS tenant,
        LATERAL (SELECT now() - n * interval '2 seconds' AS at) AS times"""
ACME = TenantId("acme")
RARE, FREQUENT = "audio_silent", "media_gone"
STATEMENTS: dict[str, tuple[Any, ...]] = {
    "cause_found": (2_001,),
    "rare_failed_messages": (FAR, "", 51, 3),
    "count_rare_failed": (1_000_000, 3, False, 1_000),
    "next_rare_failed": (FAR, LONG_AGO, "", 200, False),
}


def indexes(node: dict[str, Any]) -> Iterator[str]:
    """The indexes that a plan reads."""
    if "Index Name" in node:
        yield node["Index Name"]
    for below in node.get("Plans", ()):
        yield from indexes(below)


@pytest.fixture
async def filled(stack: Settings, namespace: str) -> AsyncIterator[Connection]:
    async with schema(stack.postgres, Names(namespace)) as connection:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute(FILL)
        await connection.execute("VACUUM ANALYZE chat_messages")
        yield connection


def of_messages(node: dict[str, Any]) -> set[str]:
    """The indexes of messages that a plan reads. A walk through all messages has no name."""
    found = {one for one in indexes(node) if one.startswith("chat_messages")}
    return found | ({""} if "chat_messages" in walked(node) else set())


async def test_a_rare_cause_is_found_without_a_walk_through_all_failures(
    filled: Connection,
) -> None:
    sql = queries("causes")
    for name, arguments in STATEMENTS.items():
        for tenant in ("acme", "*"):
            found = await plan(filled, sql[name], tenant, RARE, *arguments)
            assert of_messages(found) == {"chat_messages_by_attachment"}, name
    without = sql["rare_failed_messages"].replace("content_attributes ? 'attachments'", "true")
    walking = await plan(filled, without, "acme", RARE, FAR, "", 51, 3)
    assert of_messages(walking) == {""}, "a walk is seen"
    page = ("acme", FREQUENT, FAR, "", 20_000, 51, 3)
    frequent = await plan(filled, sql["failed_messages_by_reason"], *page)
    assert of_messages(frequent) == {"chat_messages_degraded"}


async def test_rare_and_frequent_causes_are_counted_and_taken_alike(filled: Connection) -> None:
    sql, repairs = queries("causes"), queries("repairs")
    counts = STATEMENTS["count_rare_failed"]
    following = STATEMENTS["next_rare_failed"]
    for tenant, suffix in (("acme", ""), ("*", "_everywhere")):
        for name, more in (("count", counts), ("next", following)):
            rare = await filled.fetch(sql[f"{name}_rare_failed"], tenant, FREQUENT, *more)
            walked = await filled.fetch(repairs[f"{name}_failed{suffix}"], tenant, FREQUENT, *more)
            assert rare == walked != []


async def test_a_page_of_a_cause_looks_at_a_bounded_number_of_messages(
    filled: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    walks: list[int] = []

    class OneConnection:
        async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
            asked.append(names[statement])
            if asked[-1] == "failed_messages_by_reason":
                walks.append(arguments[4])
            found: list[Any] = await filled.fetch(statement, *arguments)
            return found

    pool: Any = OneConnection()
    pages = reading.PageReading(pool)
    names = {text: name for name, text in pages._sql.items()}
    monkeypatch.setattr(reading, "FIRST_WALKED", 100)
    monkeypatch.setattr(reading, "MOST_WALKED", 1_000)
    rare = await pages.failed(ACME, RARE, reading.NOW, 2)
    assert len(rare.rows) == 2 and rare.older is not None
    assert asked[-1] == "rare_failed_messages" and walks == [100]
    rest = await pages.failed(ACME, RARE, rare.older, 2)
    assert len(rest.rows) == 1 and rest.older is None
    frequent = await pages.failed(ACME, FREQUENT, reading.NOW, 50)
    assert len(frequent.rows) == 50 and asked[-1] == "failed_messages_by_reason"
    monkeypatch.setattr(reading, "MOST_RARE", 3)  # at both tenants there are six
    place, found, looks = reading.NOW, 0, 0
    while place is not None:
        some = await pages.failed(ACME, RARE, place, 50)
        place, found, looks = some.older, found + len(some.rows), looks + 1
    assert (found, looks) == (3, 31)  # the last look finds that nothing follows
    assert "rare_failed_messages" not in asked[-60:]
    assert walks[-3:] == [100, 900, 100]


async def test_a_page_of_a_cause_is_filled_by_both_walks_in_order(
    filled: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool: Any = filled
    pages = reading.PageReading(pool)
    whole = await pages.failed(ACME, FREQUENT, reading.NOW, 50)
    monkeypatch.setattr(reading, "FIRST_WALKED", 30)
    for most_walked in (1_000, 90):
        monkeypatch.setattr(reading, "MOST_WALKED", most_walked)
        page, rows = await pages.failed(ACME, FREQUENT, reading.NOW, 50), list[Any]()
        while len(rows) < 50:
            rows += page.rows
            assert page.older is not None
            page = await pages.failed(ACME, FREQUENT, page.older, 50)
        assert rows[:50] == whole.rows, most_walked
