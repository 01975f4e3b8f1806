"""A sink is ready only while it can work: member with partitions, topics that are there, and a pool that answers."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import msgspec
import pytest
from confluent_kafka.admin import AdminClient

from connectors.postgres import sink as connector
from connectors.postgres.sink import Sink
from schemas.settings import Postgres, Secret, Settings
from schemas.topics import Names
from storage.background import alongside
from storage.kafka.client import client_config
from storage.kafka.topics import apply_topics
from tests.integration.databases import pooled, schema
from tests.integration.receivers import Proxy, proxied
from tests.integration.waiting import until


@pytest.fixture
async def working(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Sink, Proxy, Settings]]:
    """A sink that is ready, and what stands between it and Postgres."""
    monkeypatch.setattr(connector, "WATCH_SECONDS", 0.1)
    names, address = Names(namespace), urlsplit(str(stack.postgres.dsn))
    await asyncio.to_thread(apply_topics, stack.kafka, names)
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
                await until(lambda: sink.ready, 40)
                yield sink, proxy, settings
                await proxy.cut()
                await proxy.mend()
                sink.stop()
                await asyncio.wait_for(running, 20)


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


async def test_a_sink_that_has_stopped_is_not_ready(
    working: tuple[Sink, Proxy, Settings],
) -> None:
    sink, _, _ = working
    sink.stop()
    await until(lambda: not sink.ready)
