"""Messages that Kafka has accepted and Postgres does not have yet, on the real servers."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.console.accepted import Accepted
from connectors.console.queries import ConsoleQueries
from schemas.keys import TenantId
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import (
    plain_producer_config,
    reader_config,
    transactional_producer_config,
)
from storage.waiting import Deadline
from tests.integration.databases import Connection, pooled, schema
from tests.integration.waiting import until
from tests.topics import make_topics

ACME, OTHER = TenantId("acme"), TenantId("other")


@dataclass
class World:
    """The two topics and the two positions. All records are in partition 1."""

    settings: Settings
    names: Names
    database: Connection
    accepted: Accepted

    async def is_stored(self, tenant: TenantId = ACME, seconds: float = 0.3) -> bool:
        return await self.accepted.is_stored(tenant, Deadline(seconds))

    async def asks(self, seconds: float, *, decided: bool) -> "asyncio.Task[bool]":
        """Starts `is_stored`, and returns once it waits for the sink (`decided`) or for dedupe.

        A slow broker may not answer in time, so it asks again then.
        """
        while True:
            asking = asyncio.create_task(self.is_stored(seconds=seconds))
            while not asking.done():
                if decided in self.accepted._kafka._made:
                    return asking
                await asyncio.sleep(0.01)
            assert not await asking

    async def accept(self, *keys: str) -> None:
        producer = Producer(plain_producer_config(self.settings.kafka))
        for key in keys:
            producer.produce(self.names.topic("raw-messages"), b"body", key, 1)
        assert await asyncio.to_thread(producer.flush, 30) == 0

    async def dedupe(self, position: int, *keys: str, ends: str = "commit") -> Producer:
        """Writes one transaction of the stage: what it forwards, and its position afterwards."""
        transactional = transactional_producer_config(
            self.settings.kafka, f"{self.names.prefix}{position}"
        )
        producer = Producer(transactional)
        await asyncio.to_thread(producer.init_transactions, 30)
        producer.begin_transaction()
        for key in keys:
            producer.produce(self.names.topic("enriched-messages"), b"snapshot", key, 1)
        assert await asyncio.to_thread(producer.flush, 30) == 0
        if ends == "abort":
            await asyncio.to_thread(producer.abort_transaction, 30)
        elif ends == "commit":
            await asyncio.to_thread(producer.commit_transaction, 30)
            await asyncio.to_thread(self._stand, position)
        return producer

    def _stand(self, position: int) -> None:
        config = reader_config(self.settings.kafka, self.names.group("dedupe"))
        consumer = Consumer(config)
        place = TopicPartition(self.names.topic("raw-messages"), 1, position)
        consumer.commit(offsets=[place], asynchronous=False)
        consumer.close()

    async def sink(self, position: int) -> None:
        await self.database.execute(
            "INSERT INTO sink_offsets (topic, partition, topic_id, next_offset, epoch) VALUES ($1, 1, 'id', $2, 1)"
            " ON CONFLICT (topic, partition) DO UPDATE SET next_offset = $2",
            self.names.topic("enriched-messages"),
            position,
        )


@pytest.fixture
async def world(stack: Settings, namespace: str) -> AsyncIterator[World]:
    names = Names(namespace)
    await asyncio.to_thread(make_topics, stack.kafka, names)
    settings = msgspec.structs.replace(stack, namespace=namespace)
    async with schema(stack.postgres, names) as database, pooled(stack.postgres, names) as pool:
        accepted = Accepted(settings.kafka, names, ConsoleQueries(pool))
        yield World(settings, names, database, accepted)
        await asyncio.to_thread(accepted.close)


async def test_where_nothing_was_accepted_everything_is_stored(world: World) -> None:
    await until(world.is_stored)


async def test_a_message_is_waited_for_from_its_acceptance_until_its_row(world: World) -> None:
    await world.accept("acme:ycloud:1", "other:ycloud:1")
    assert not await world.is_stored() and not await world.is_stored(OTHER)
    await world.dedupe(1, "acme:ycloud:1")
    assert not await world.is_stored()
    await world.sink(1)  # behind the record; the marker of its transaction is nobody's
    await until(world.is_stored)
    assert not await world.is_stored(OTHER)  # dedupe has not seen it
    await world.dedupe(2)  # a duplicate: nothing comes of it
    await until(lambda: world.is_stored(OTHER))


async def test_an_answer_comes_as_soon_as_the_sink_has_stored(world: World) -> None:
    await world.accept("acme:ycloud:1")
    await world.dedupe(1, "acme:ycloud:1")
    asking = await world.asks(20, decided=True)
    await world.sink(1)
    assert await asking


async def test_an_open_transaction_is_waited_for_and_an_aborted_one_is_not(world: World) -> None:
    await world.dedupe(1, "acme:ycloud:0")
    await world.sink(1)
    producer = await world.dedupe(2, "acme:ycloud:1", ends="stay open")
    assert not await world.is_stored()
    await asyncio.to_thread(producer.abort_transaction, 30)
    await until(world.is_stored)


async def test_a_role_that_drains_waits_no_more(world: World) -> None:
    await world.accept("acme:ycloud:1")
    asking = await world.asks(60, decided=False)
    world.accepted.end()
    began = time.monotonic()
    assert not await asking and time.monotonic() - began < 30


async def test_without_kafka_the_answer_is_unknown(
    stack: Settings, namespace: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.console.accepted.ANSWER_SECONDS", 0.2)
    kafka = msgspec.structs.replace(stack.kafka, bootstrap_servers="127.0.0.1:9")
    away = Accepted(kafka, Names(namespace), world.accepted._reading)
    assert not await away.is_stored(ACME, Deadline(5))
    await asyncio.to_thread(away.close)
