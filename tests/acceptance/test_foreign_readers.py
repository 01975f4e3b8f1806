"""Foreign readers of `enriched-messages`.

These are Confluent's deserializer with /registry, and aiokafka with the schema files.
"""

import asyncio
import gc
import io
import json
import struct
import time
from typing import Any

import fastavro
import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import DeserializingConsumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer

from schemas.codec import AVRO_DIR
from streams.local.samples import ycloud
from tests.pipeline import Pipeline, Tenant, wait_for


async def _one(pipeline: Pipeline, connection: Any, name: str) -> str:
    tenant = Tenant(pipeline, name)
    sample = ycloud("para todos", None, what="text")
    assert tenant.post(sample) == 200

    async def there() -> Any:
        return await tenant.rows(connection)

    await wait_for(there, "the row")
    return sample.key(name)


async def test_confluents_deserializer_reads_with_the_consoles_registry(
    pipeline: Pipeline, connection: Any
) -> None:
    key = await _one(pipeline, connection, "confluent-reader")

    def read() -> dict[str, Any]:
        registry = SchemaRegistryClient({"url": f"{pipeline.console}/registry"})
        consumer = DeserializingConsumer(
            {
                "bootstrap.servers": pipeline.settings.kafka.bootstrap_servers,
                "group.id": "foreign-confluent",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "value.deserializer": AvroDeserializer(registry),
            }
        )
        consumer.subscribe([pipeline.names.topic("enriched-messages")])
        deadline = time.monotonic() + 90
        try:
            while time.monotonic() < deadline:
                message = consumer.poll(0.5)
                if (
                    message is not None
                    and message.error() is None
                    and message.key() == key.encode()
                ):
                    value: dict[str, Any] = message.value()
                    return value
        finally:
            consumer.close()
        raise AssertionError("not read")

    value = await asyncio.to_thread(read)
    assert (value["message_key"], value["content"], value["status"], value["version"]) == (
        key,
        "para todos",
        "complete",
        1,
    )


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # aiokafka leaves a socket to the collector
async def test_aiokafka_reads_with_the_schema_files(pipeline: Pipeline, connection: Any) -> None:
    key = await _one(pipeline, connection, "aiokafka-reader")
    pinned = json.loads((AVRO_DIR / "ids.json").read_text())
    consumer = AIOKafkaConsumer(
        pipeline.names.topic("enriched-messages"),
        bootstrap_servers=pipeline.settings.kafka.bootstrap_servers,
        group_id="foreign-aiokafka",
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        async with asyncio.timeout(90):
            async for message in consumer:
                if message.key != key.encode():
                    continue
                magic, schema_id = struct.unpack(">bI", message.value[:5])
                schema = fastavro.parse_schema(
                    json.loads((AVRO_DIR / pinned[str(schema_id)]["file"]).read_text())
                )
                value: Any = fastavro.schemaless_reader(io.BytesIO(message.value[5:]), schema, None)
                assert (magic, value["message_key"], value["content"]) == (0, key, "para todos")
                return
    finally:
        await consumer.stop()
        gc.collect()
