"""Arrivals of a week whose partition is created late, and those that earlier programs wrote."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from schemas.outcomes import Unavailable
from schemas.settings import RetentionSettings as Ages
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import connect_directly
from storage.postgres.retention import Retention
from storage.postgres.sql import queries
from tests.integration.databases import Connection
from tests.integration.test_retention import arrived, weeks
from tests.integration.test_sink_writer import Sink, a_receipt, line, position, sink
from tests.integration.waiting import until

__all__ = ["sink"]
LATER = datetime(2041, 3, 6, 12, tzinfo=UTC)


async def test_a_receipt_that_waited_for_the_partition_of_its_week_is_stored_and_not_set_aside(
    stack: Settings, namespace: str, sink: Sink, database: Connection
) -> None:
    one = line(0)._replace(received_ms=int(LATER.timestamp() * 1000))
    work = sink.work(a_receipt(one))
    maker = await connect_directly(stack.postgres, Names(namespace), "test")
    async with maker.transaction():
        await maker.execute("SELECT make_arrival_weeks($1, $1)", LATER.date())
        writing = asyncio.create_task(sink.write_after(-1, work))

        async def waits() -> bool:
            return bool(
                await database.fetchval(
                    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'arrival_records_other'::regclass"
                )
            )

        await until(waits)
    with pytest.raises(Unavailable):
        await writing
    assert (sink.quarantined, await position(database)) == ([], -1)
    await sink.write_after(-1, work)
    name = await database.fetchval("SELECT tableoid::regclass::text FROM arrival_records")
    assert (sink.quarantined, name) == ([], "arrival_records_20410304")
    await maker.close()


async def test_a_week_gets_its_partition_although_its_first_arrivals_are_elsewhere(
    stack: Settings, namespace: str, database: Connection
) -> None:
    before = await weeks(database)
    today = datetime.now(UTC).date()
    this = f"arrival_records_{today - timedelta(days=today.weekday()):%Y%m%d}"
    await database.execute(f"DROP TABLE {this}")
    await arrived(database, 0)
    await arrived(database, -5_000)
    other = await connect_directly(stack.postgres, Names(namespace), "test")
    assert await other.fetchval(queries("retention")["lead"])
    keeper = Retention(stack.postgres, Names(namespace), Ages(), 30)
    await keeper.make_weeks()
    assert this not in await weeks(database), "one process makes them"
    await other.close()
    await keeper.make_weeks()
    assert await weeks(database) == before
    rows = await database.fetch(
        "SELECT provider_message_id, tableoid::regclass::text AS name FROM arrival_records"
    )
    assert {row["provider_message_id"]: row["name"] for row in rows} == {
        "0": this,
        "-5000": "arrival_records_other",
    }


async def test_a_sink_whose_postgres_is_away_does_not_wait_for_weeks(namespace: str) -> None:
    nowhere = msgspec.structs.replace(Settings().postgres, dsn="postgresql://x@127.0.0.1:1/x")
    await Retention(nowhere, Names(namespace), Ages(), 30).make_weeks()


async def test_an_arrival_that_an_earlier_program_wrote_is_found_by_its_id(
    database: Connection,
) -> None:
    await database.execute(
        """INSERT INTO inbound_messages (tenant_id, provider, provider_message_id, message_key, topic, partition, "offset", received_at)
        SELECT 'acme', 'ycloud', 'w' || n, 'acme:ycloud:w' || n, 'raw-messages', 0, n, now() FROM generate_series(1, 20000) AS n"""
    )
    await database.execute("ANALYZE inbound_messages")
    found = await database.fetchval(
        "EXPLAIN (FORMAT JSON) SELECT topic FROM arrivals WHERE tenant_id = 'acme' AND provider = 'ycloud' AND provider_message_id = 'w7'"
    )
    assert "inbound_messages_by_id" in json.dumps(json.loads(found))
