"""The sink and records of a newer program: held, and neither stored nor set aside."""

import asyncio
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client import REGISTRY

from schemas.codec import encode
from schemas.keys import MessageKey
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import plain_producer_config, reader_config
from tests.integration.databases import Connection, schema
from tests.integration.test_sink_batches import at_work
from tests.integration.waiting import until
from tests.topics import make_topics
from tests.unit.newer import by_the_next_release, next_release
from tests.unit.records import message


def said(number: int) -> Any:
    key = MessageKey(f"acme:ycloud:{number}")
    return message(message_key=key, provider_message_id=str(number))


def write(settings: Settings, *values: tuple[bytes, int]) -> None:
    producer = Producer(plain_producer_config(settings.kafka))
    topic = Names(settings.namespace).topic("enriched-messages")
    for value, partition in values:
        producer.produce(topic, value, b"acme:ycloud:1", partition)
    assert producer.flush(30) == 0


def quarantined(settings: Settings) -> int:
    consumer = Consumer(reader_config(settings.kafka, "test-quarantine"))
    topic = Names(settings.namespace).topic("quarantine")
    try:
        return sum(
            consumer.get_watermark_offsets(TopicPartition(topic, p), 20)[1]
            for p in range(settings.kafka.partitions)
        )
    finally:
        consumer.close()


async def rows(database: Connection) -> list[str]:
    found = await database.fetch("SELECT message_key FROM chat_messages ORDER BY message_key")
    return [row["message_key"].rpartition(":")[2] for row in found]


async def test_a_partition_with_a_newer_record_is_held_until_the_upgrade_and_the_others_go_on(
    stack: Settings, namespace: str
) -> None:
    settings = msgspec.structs.replace(stack, namespace=namespace)
    names = Names(namespace)
    await asyncio.to_thread(make_topics, settings.kafka, names)
    async with schema(settings.postgres, names) as database:
        one, two, three, four, five = (said(number) for number in range(1, 6))
        write(settings, (encode(one), 0), (by_the_next_release(two), 0), (encode(three), 0))
        write(settings, (encode(four), 1))

        async def stored(*wanted: str) -> bool:
            return await rows(database) == list(wanted)

        async with at_work(settings) as sink:
            await until(lambda: stored("1", "4"), 60)
            await until(lambda: bool(sink.status()["troubles"][-1:]))
            assert "version_unknown" in sink.status()["troubles"][-1]
            sink.refresh_metrics()
            labels = {"stage": "sink", "reason": "version_unknown"}
            assert REGISTRY.get_sample_value("sensorium_stage_partitions_parked", labels) == 1
            write(settings, (encode(five), 1))
            await until(lambda: stored("1", "4", "5"), 60)
            assert not sink.ready
        topic = names.topic("enriched-messages")
        at = await database.fetchval(
            "SELECT next_offset FROM sink_offsets WHERE topic = $1 AND partition = 0", topic
        )
        assert (at, quarantined(settings)) == (1, 0)
        with next_release("EnrichedMessage"):
            async with at_work(settings):
                await until(lambda: stored("1", "2", "3", "4", "5"), 60)
        assert quarantined(settings) == 0
