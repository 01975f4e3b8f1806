"""Repairs as rows: which others they keep from beginning, and the tries that they count."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.keys import TenantId
from schemas.settings import RetentionSettings as Ages
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.erased import forget
from storage.postgres.repair_plans import (
    Counted,
    HeldRepair,
    Intent,
    RepairChoice,
    RepairError,
    RepairKind,
    RepairRequest,
)
from storage.postgres.repairs import Repairs
from storage.postgres.retention import Retention
from tests.integration.databases import Connection, pooled

ACME, SINCE = TenantId("acme"), datetime(2026, 11, 20, tzinfo=UTC)
KEY = "acme:ycloud:+14155550123"


@pytest.fixture
async def repairs(stack: Settings, namespace: str, database: Connection) -> AsyncIterator[Repairs]:
    async with pooled(stack.postgres, Names(namespace)) as pool:
        yield Repairs(pool)


async def begun(
    repairs: Repairs, choice: RepairChoice, kind: RepairKind = "raw", tenant: TenantId = ACME
) -> str:
    counted = Counted(1, (), choice)
    repair_id = await repairs.add(RepairRequest(tenant, kind, choice, "ana"), counted)
    await repairs.apply(tenant, repair_id, 7, "ana")
    return repair_id


async def refusal(repairs: Repairs, *spans: str, **more: Any) -> tuple[Any, ...]:
    with pytest.raises(RepairError) as caught:
        await begun(repairs, RepairChoice(spans=spans, **more))
    return caught.value.args[1:]


async def test_raw_records_that_a_running_repair_sends_again_are_sent_by_no_other(
    repairs: Repairs,
) -> None:
    first = await begun(repairs, RepairChoice(since=SINCE, spans=("0:0-99", "1:5-9")))
    more = await refusal(repairs, "0:0-104", "1:5-9", since=SINCE)
    assert more == (first, True), "the same command again: it may continue"
    for spans in (("0:99-120",), ("1:0-5",), ("2:0-9", "1:7-7")):
        assert await refusal(repairs, *spans) == (first, False)
    assert await refusal(repairs, "0:9-9", since=datetime(2026, 11, 21, tzinfo=UTC)) == (
        first,
        False,
    )
    await begun(repairs, RepairChoice(spans=("0:100-120", "1:10-11", "1:0-4", "2:0-99")))
    await begun(repairs, RepairChoice(spans=("0:0-99",)), tenant=TenantId("other"))


async def shown(database: Connection) -> None:
    await database.execute(
        """INSERT INTO chat_messages (tenant_id, message_key, provider, conversation_id, role, direction, kind,
            content_attributes, status, version, occurred_at, received_at, enriched_at)
        VALUES ('acme', $1, 'ycloud', 'c', 'user', 'inbound', 'image', '{}', 'degraded', 1, now(), now(), now())""",
        KEY,
    )


async def at_hand(repairs: Repairs) -> tuple[HeldRepair, Intent]:
    """A repair that is held, and its portion, which is written to Kafka."""
    repair_id = await begun(repairs, RepairChoice(reason="media_gone"), "attachments")
    held = await repairs.hold("worker", repair_id)
    assert held is not None
    intent = Intent(held.portion + 1, ((ACME, KEY, "media_gone"),), 1, SINCE, KEY, redone=1)
    assert await repairs.intend(held, intent)
    return held, intent


async def remembered(database: Connection) -> tuple[set[str], int]:
    """The keys in the rows of repairs, and how many messages have counted tries."""
    keys = {row["done_key"] for row in await database.fetch("SELECT done_key FROM repairs")}
    return keys, await database.fetchval("SELECT count(*) FROM repair_tries")


async def test_a_repair_that_ended_names_no_message(repairs: Repairs, database: Connection) -> None:
    await shown(database)
    held, intent = await at_hand(repairs)
    await repairs.settle(held, intent)
    assert await remembered(database) == ({KEY}, 1)
    await repairs.finish(held)
    assert await remembered(database) == ({""}, 1)
    held, intent = await at_hand(repairs)
    await repairs.settle(held, intent)
    await repairs.cancel(ACME, held.repair_id, "ana")
    assert await remembered(database) == ({""}, 1)
    held, intent = await at_hand(repairs)
    await repairs.cancel(ACME, held.repair_id, "ana")
    await repairs.settle(held, intent)
    assert await remembered(database) == ({""}, 1)


async def test_what_was_erased_while_a_repair_was_at_it_is_not_remembered(
    repairs: Repairs, database: Connection
) -> None:
    await shown(database)
    held, intent = await at_hand(repairs)
    async with database.transaction():
        await forget(database, [(ACME, KEY)])
    await repairs.settle(held, intent)
    assert (await remembered(database))[1] == 0


async def test_what_a_removed_tenants_repair_tried_is_not_remembered(
    repairs: Repairs, database: Connection
) -> None:
    await shown(database)
    held, intent = await at_hand(repairs)
    await database.execute(
        "INSERT INTO tenants (tenant_id, settings, removed_at) VALUES ('acme', '', now())"
    )
    await repairs.settle(held, intent)
    assert (await remembered(database))[1] == 0


async def test_tries_of_what_is_not_there_any_more_go(
    stack: Settings, namespace: str, repairs: Repairs, database: Connection
) -> None:
    await shown(database)
    await database.execute(
        "INSERT INTO repair_tries SELECT 'acme', key, 'media_gone', 1 FROM unnest($1::text[]) AS key",
        [KEY, "acme:ycloud:gone"],
    )
    keeper = Retention(stack.postgres, Names(namespace), Ages(), 30)
    assert (await keeper.work())["repair_tries"] == 1
    assert [row["message_key"] for row in await database.fetch("SELECT * FROM repair_tries")] == [
        KEY
    ]
