"""A sink is ready only while it can work.

It must be a member with partitions, its topics must exist, and its pool must answer.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from connectors.postgres import sink as connector
from connectors.postgres.positions import Positions, ids_of_all_topics
from connectors.postgres.quarantine_writer import SinkStopped
from connectors.postgres.sink import Sink
from schemas.settings import Postgres, Secret, Settings
from schemas.topics import Names
from storage.background import alongside
from storage.kafka.client import client_config
from storage.kafka.reconnection import Renewed
from tests.integration.databases import pooled, schema
from tests.integration.receivers import Proxy, proxied
from tests.integration.waiting import until
from tests.topics import make_topics


@pytest.fixture
async def working(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Sink, Proxy, Settings]]:
    """A sink that is ready, and the proxy between it and Postgres."""
    monkeypatch.setattr(connector, "WATCH_SECONDS", 0.1)
    names, address = Names(namespace), urlsplit(str(stack.postgres.dsn))
    await asyncio.to_thread(make_topics, stack.kafka, names)
    async with (
        schema(stack.postgres, names),
        proxied(address.hostname or "", address.port or 5432) as proxy,
    ):
        user = address.netloc.rpartition("@")[0]
        dsn = urlunsplit(address._replace(netloc=f"{user}@127.0.0.1:{proxy.port}"))
        settings = msgspec.structs.replace(stack, namespace=namespace)
        async with pooled(Postgres(dsn=Secret(dsn)), names) as pool:
            sink = Sink(settings, pool)
            async with alongside(watch=sink.watch):
                running = asyncio.create_task(sink.run())
                await until(lambda: sink.ready)
                yield sink, proxy, settings
                await proxy.cut()
                await proxy.mend()
                sink.stop()
                await asyncio.wait_for(running, 60)


async def test_a_sink_whose_postgres_does_not_answer_is_not_ready_until_it_does(
    working: tuple[Sink, Proxy, Settings],
) -> None:
    sink, proxy, _ = working
    await proxy.cut()
    await until(lambda: not sink.ready)
    assert sink.assigned
    await proxy.mend()
    await until(lambda: sink.ready)


async def test_a_sink_whose_topic_is_deleted_is_not_ready(
    working: tuple[Sink, Proxy, Settings],
) -> None:
    sink, _, settings = working
    topic = Names(settings.namespace).topic("quarantine")
    admin = AdminClient(client_config(settings.kafka))
    await asyncio.to_thread(lambda: admin.delete_topics([topic])[topic].result(20))
    await until(lambda: not sink.ready)


async def test_a_sink_stops_when_a_topic_gets_partitions_in_place(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "WATCH_SECONDS", 0.1)
    names = Names(namespace)
    topic = names.topic("enriched-messages")
    await asyncio.to_thread(make_topics, stack.kafka, names)
    settings = msgspec.structs.replace(stack, namespace=namespace)
    admin, more = AdminClient(client_config(stack.kafka)), stack.kafka.partitions + 1
    new: Any = NewPartitions(topic, more)
    async with schema(stack.postgres, names) as database, pooled(stack.postgres, names) as pool:
        sink = Sink(settings, pool)
        running = asyncio.create_task(sink.run())
        await until(lambda: sink.assigned)
        async with alongside(watch=sink.watch):
            await asyncio.to_thread(lambda: admin.create_partitions([new])[topic].result(20))
            with pytest.raises(SinkStopped, match=f"{topic} has {more} partitions, but SENSORIUM_"):
                await asyncio.wait_for(running, 60)
        with pytest.raises(SinkStopped, match=f"{topic} has {more} partitions, but SENSORIUM_"):
            await asyncio.wait_for(Sink(settings, pool).run(), 60)
        fewer = msgspec.structs.replace(stack.kafka, partitions=more)
        await database.execute("UPDATE sink_offsets SET partition = 99 WHERE partition = 0")
        positions = Positions(
            pool, Renewed(lambda: admin), names, ["enriched-messages"], fewer.partitions
        )
        positions.assign([(topic, 1)])
        with pytest.raises(SinkStopped, match=r"positions in .*\[99\]"):
            await positions.take()


async def test_a_topic_that_was_made_again_stops_a_sink_that_runs(
    stack: Settings, namespace: str
) -> None:
    names = Names(namespace)
    await asyncio.to_thread(make_topics, stack.kafka, names)
    async with schema(stack.postgres, names), pooled(stack.postgres, names) as pool:
        admin, partitions = AdminClient(client_config(stack.kafka)), stack.kafka.partitions
        positions = Positions(pool, Renewed(lambda: admin), names, ["receipts"], partitions)
        positions.assign([(names.topic("receipts"), 0)])
        await positions.take()
        ids = ids_of_all_topics(admin, names)
        positions.check_ids(ids)
        with pytest.raises(SinkStopped, match="deleted and created again while the sink ran"):
            positions.check_ids(ids | {"receipts": "another"})


async def test_a_sink_that_has_stopped_is_not_ready(
    working: tuple[Sink, Proxy, Settings],
) -> None:
    sink, _, _ = working
    sink.stop()
    await until(lambda: not sink.ready)
