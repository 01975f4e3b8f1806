import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from schemas.settings import RetentionSettings as Ages
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres import block_walk, retention
from storage.postgres.pool import connect_directly
from storage.postgres.retention import Retention, days_of
from storage.postgres.sql import queries
from tests.integration.databases import Connection

NOW = datetime.now(UTC)
PARTITION = re.compile(r"^arrival_records_(\d{8}|other)$")
FOR_EVER = {
    "chat_messages",
    "conversation_aliases",
    "media_objects",
    "tenants",
    "webhook_endpoints",
    "api_keys",
    "generations",
    "sink_offsets",
    "schema_migrations",
    "feed_eras",
    "erased_messages",
    "directory_changes",
    "people",
    "people_roles",
    "repair_tries",
    "tenant_removals",
}
"""Tables that are kept until a person deletes from them.

These are the product's output, the tenants, and the installation's own state.
"""
ELSEWHERE = {
    "job_attempts",
    "webhook_deliveries",
    "ended_tokens",
    "people_sessions",
    "login_links",
    "login_failures",
    "unmasked_conversations",
}
"""Tables that their own writer bounds."""


async def arrival(database: Connection, number: int, age_days: float) -> None:
    await database.execute(
        'INSERT INTO inbound_messages (tenant_id, provider, provider_message_id, message_key, topic, partition, "offset", received_at) '
        "VALUES ('acme', 'p', $1, $1, 't', 0, 0, $2)",
        str(number),
        NOW - timedelta(days=age_days),
    )


async def quarantined(database: Connection, tenant: str, offset: int, **fields: Any) -> None:
    values = {"created_at": NOW - timedelta(days=fields.get("age_days", 0), seconds=-offset)}
    await database.execute(
        'INSERT INTO quarantined_messages (tenant_id, stage, reason, detail, record_key, topic, partition, "offset", created_at, program_version, value) '
        "VALUES ($1, 'dedupe', 'not_json', 'd', 'k', 'raw-messages', 0, $2, $3, '1', $4)",
        tenant,
        offset,
        values["created_at"],
        fields.get("value", b"x"),
    )


async def test_rows_go_when_their_age_is_over_and_no_earlier(
    stack: Settings, namespace: str, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_walk, "SLICE_BLOCKS", 1)
    monkeypatch.setattr(block_walk, "PAUSE_SECONDS", 0.0)
    for number in range(300):
        await arrival(database, number, 91 if number % 3 else 89)
    await quarantined(database, "acme", 1, age_days=31)
    await quarantined(database, "acme", 2, age_days=29)
    keeper = Retention(stack.postgres, Names(namespace), Ages(), 30)
    gone = await keeper.work()
    assert (gone["inbound_messages"], gone["quarantined_messages"]) == (200, 1)
    assert await database.fetchval("SELECT count(*) FROM inbound_messages") == 100
    assert not any((await keeper.work()).values())


async def arrived(database: Connection, age_days: float) -> None:
    await database.execute(
        'INSERT INTO arrival_records (tenant_id, provider, provider_message_id, topic, partition, "offset", received_at, outcome, reason, deliveries) '
        "VALUES ('acme', 'p', $1, 't', 0, 0, $2, 'forwarded', '', 1)",
        str(age_days),
        NOW - timedelta(days=age_days),
    )


async def weeks(database: Connection) -> list[str]:
    rows = await database.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'arrival_records'::regclass ORDER BY 1"
    )
    return [row["relname"] for row in rows]


async def test_arrivals_go_a_week_at_a_time_and_no_earlier(
    stack: Settings, namespace: str, database: Connection
) -> None:
    for age in (91 + 7, 89, 5):
        day = (NOW - timedelta(days=age)).date()
        await database.execute("SELECT make_arrival_weeks($1, $1)", day)
        await arrived(database, age)
    await arrived(database, 5_000)  # of a week that was never expected
    await arrived(database, -5_000)
    before = await weeks(database)
    await database.execute(f"DROP TABLE {before[-2]}")  # the last of those ahead
    gone = await Retention(stack.postgres, Names(namespace), Ages(), 30).work()
    left = await database.fetch("SELECT provider_message_id FROM arrival_records")
    assert {row["provider_message_id"] for row in left} == {"89", "5", "-5000"}
    assert await weeks(database) == before[1:]
    assert gone["arrival_records"] == 1, "of the partition nobody has counted the rows"


async def test_a_week_that_somebody_reads_is_dropped_later_and_writers_do_not_wait(
    stack: Settings, namespace: str, database: Connection
) -> None:
    day = (NOW - timedelta(days=200)).date()
    await database.execute("SELECT make_arrival_weeks($1, $1)", day)
    before = await weeks(database)
    keeper = Retention(stack.postgres, Names(namespace), Ages(), 30)
    reader = await connect_directly(stack.postgres, Names(namespace), "test")
    async with reader.transaction():
        await reader.fetch("SELECT FROM arrival_records LIMIT 1")
        working = asyncio.create_task(keeper.work(walks=False))
        while not working.done():
            async with asyncio.timeout(retention.PARTITION_LOCK_MS / 1000 + 30):
                await arrived(database, 1)
        assert await weeks(database) == before
    await reader.close()
    await keeper.work(walks=False)
    assert await weeks(database) == before[1:]


async def test_the_arrivals_of_a_removed_tenant_go_from_every_week(database: Connection) -> None:
    for age in (1, 5, 8, 12, 5_000):
        await arrived(database, age)
    await database.execute(
        "UPDATE arrival_records SET tenant_id = 'stays' WHERE provider_message_id = '12'"
    )
    statement, rounds = queries("removal")["delete_some_arrival_records"], 0
    while await database.execute(statement, "acme", 3) != "DELETE 0":
        rounds += 1
    left = await database.fetch("SELECT tenant_id FROM arrival_records")
    assert ([row["tenant_id"] for row in left], rounds) == (["stays"], 2)


async def test_plans_that_nobody_applied_go_and_a_repair_that_runs_stays(
    stack: Settings, namespace: str, database: Connection
) -> None:
    for state in ("planned", "running", "done", "cancelled"):
        await database.execute(
            "INSERT INTO repairs (tenant_id, repair_id, reason, state, person, messages, files, ends_at) "
            "VALUES ('acme', $1, 'media_gone', $1, 'ana', 1, '{}', $2)",
            state,
            NOW - timedelta(days=31),
        )
    gone = await Retention(stack.postgres, Names(namespace), Ages(log_days=30), 30).work()
    assert gone["repairs"] == 3
    assert await database.fetchval("SELECT state FROM repairs") == "running"


async def test_what_has_no_age_stays(stack: Settings, namespace: str, database: Connection) -> None:
    await arrival(database, 1, 5_000)
    keeper = Retention(stack.postgres, Names(namespace), Ages(arrivals_days=0), 30)
    assert "inbound_messages" not in await keeper.work()
    assert await database.fetchval("SELECT count(*) FROM inbound_messages") == 1


async def test_a_tenant_that_fills_quarantine_loses_its_oldest_bodies_and_no_other_does(
    stack: Settings, namespace: str, database: Connection
) -> None:
    for offset in range(10):
        await quarantined(database, "hostile", offset, value=bytes(1_000))
    await quarantined(database, "acme", 99, value=bytes(3_000))
    ages = Ages(quarantine_tenant_bytes=4_000)
    gone = await Retention(stack.postgres, Names(namespace), ages, 30).work(walks=False)
    assert gone == {"bodies": 6, "arrival_records": 0}
    kept = await database.fetch(
        'SELECT "offset" FROM quarantined_messages WHERE value IS NOT NULL ORDER BY 1'
    )
    assert [row["offset"] for row in kept] == [6, 7, 8, 9, 99]
    assert await database.fetchval("SELECT count(*) FROM quarantined_messages") == 11
    places = (["dedupe"] * 2, ["raw-messages"] * 2, [0] * 2, [0, 9], [""] * 2)
    whole = await database.fetch(queries("repair")["quarantined_whole"], *places)
    assert [row["offset"] for row in whole] == [9]


async def test_a_tenant_with_too_many_arrivals_loses_its_oldest_and_no_other_does(
    stack: Settings, namespace: str, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_walk, "SLICE_BLOCKS", 1)
    for age in (10, 3):
        day = (NOW - timedelta(days=age)).date()
        await database.execute("SELECT make_arrival_weeks($1, $1)", day)
        for tenant, count in (("noisy", 3_000), ("acme", 1_000)):
            await database.execute(
                'INSERT INTO arrival_records (tenant_id, provider, provider_message_id, topic, partition, "offset", received_at, outcome, reason, deliveries) '
                "SELECT $1, 'p', $2 || n, 't', 0, n, $3, 'forwarded', '', 1 FROM generate_series(1, $4) AS n",
                tenant,
                f"{age}-",
                NOW - timedelta(days=age),
                count,
            )
    await database.execute("ANALYZE arrival_records")
    keeper = Retention(stack.postgres, Names(namespace), Ages(arrivals_tenant_rows=4_000), 30)
    with structlog.testing.capture_logs() as logged:
        gone = await keeper.work()
    kept = await database.fetch(
        "SELECT tenant_id, split_part(provider_message_id, '-', 1) AS age, count(*) AS rows FROM arrival_records GROUP BY 1, 2"
    )
    rows = {(row["tenant_id"], row["age"]): row["rows"] for row in kept}
    assert (rows["acme", "10"], rows["acme", "3"], rows["noisy", "3"]) == (1_000, 1_000, 3_000)
    assert 1_000 - 100 <= rows["noisy", "10"] <= 1_000, "to the block"
    assert gone["arrival_records"] == 3_000 - rows["noisy", "10"]
    dropped = [one for one in logged if one["event"] == "tenant_rows_dropped"]
    assert [(one["tenant"], one["table"]) for one in dropped] == [("noisy", "arrival_records")]
    assert not any((await keeper.work()).values()), "the statistics were renewed"
    unbound = Retention(stack.postgres, Names(namespace), Ages(arrivals_tenant_rows=0), 30)
    assert not any((await unbound.work()).values())


async def test_a_tenant_with_too_many_rows_in_quarantine_loses_its_oldest_and_no_other_does(
    stack: Settings, namespace: str, database: Connection
) -> None:
    for offset in range(10):
        await quarantined(database, "hostile", offset)
    await quarantined(database, "acme", 99, age_days=20)
    ages = Ages(quarantine_tenant_rows=4)
    gone = await Retention(stack.postgres, Names(namespace), ages, 30).work()
    assert gone["quarantined_messages"] == 6
    kept = await database.fetch('SELECT "offset" FROM quarantined_messages ORDER BY 1')
    assert [row["offset"] for row in kept] == [6, 7, 8, 9, 99]


async def test_one_process_works_at_a_time(
    stack: Settings, namespace: str, database: Connection
) -> None:
    other = await connect_directly(stack.postgres, Names(namespace), "test")
    assert await other.fetchval(queries("retention")["lead"])
    keeper = Retention(stack.postgres, Names(namespace), Ages(), 30)
    assert await keeper.work() == {}
    await other.close()
    assert await keeper.work() != {}


async def test_every_table_has_an_age_or_is_known_to_be_kept(
    namespace: str, database: Connection
) -> None:
    rows = await database.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = $1", Names(namespace).postgres_schema
    )
    tables = {row["tablename"] for row in rows if not PARTITION.search(row["tablename"])}
    assert tables - FOR_EVER - ELSEWHERE == set(days_of(Ages(), 30))
