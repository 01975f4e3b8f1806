"""What tests of replays put into Kafka, rows and quarantine, and find in Kafka afterwards."""

import json
from datetime import datetime, timedelta
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from schemas.codec import decode
from schemas.headers import generation_of
from schemas.pipeline import TopicName
from schemas.records import Attachment, EnrichedMessage, Enrichment
from storage.kafka.client import plain_producer_config, reader_config
from storage.postgres.sql import queries
from tests.integration.commands import Commands
from tests.integration.databases import Connection
from tests.unit.records import NOW

URL = "https://api.ycloud.com/v2/whatsapp/media/download/77?sig=t%3D1"


def produce(
    commands: Commands,
    count: int,
    *,
    partition: int = 0,
    tenant: str = "acme",
    at: datetime | None = None,
    begin: int = 0,
) -> None:
    producer = Producer(plain_producer_config(commands.settings.kafka))
    headers = [
        ("tenant", tenant.encode()),
        ("provider", b"ycloud"),
        ("traceparent", b"t"),
        ("generation", b"0"),
    ]
    for number in range(begin, begin + count):
        stamp = {"timestamp": int(at.timestamp() * 1000)} if at else {}
        producer.produce(
            commands.names.topic("raw-messages"),
            b"%d" % number,
            b"k%d" % number,
            partition,
            headers=headers,
            **stamp,
        )  # type: ignore[arg-type]
    assert producer.flush(30) == 0


def written(commands: Commands, topic: TopicName = "raw-messages") -> list[Any]:
    """All committed records of a topic, by partition and offset."""
    consumer = Consumer(
        reader_config(commands.settings.kafka, "test-replay") | {"enable.partition.eof": True}
    )
    partitions = range(commands.settings.kafka.partitions)
    consumer.assign(
        [TopicPartition(commands.names.topic(topic), partition, 0) for partition in partitions]
    )
    found, ended = [], set[int]()
    while len(ended) < len(partitions):
        for message in consumer.consume(5_000, 0.2):
            error = message.error()
            if error is None:
                found.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF
                ended.add(message.partition())
    consumer.close()
    return sorted(found, key=lambda message: (message.partition(), message.offset()))


def again(commands: Commands, generation: int | None = None) -> list[bytes]:
    """The values of the copies, of one generation or of all."""
    copies = [(generation_of(message.headers()), message.value()) for message in written(commands)]
    return [value for of, value in copies if of and (generation is None or of == generation)]


def failed(index: int, reason: str, **fields: Any) -> Attachment:
    return Attachment(
        **{
            "index": index,
            "type": "image",
            "status": "failed",
            "reason": reason,
            "original_url": URL,
            **fields,
        }
    )


def outputs(commands: Commands, topic: TopicName, kind: Any) -> list[Any]:
    return [decode(kind, message.value()) for message in written(commands, topic)]


def opened_messages(commands: Commands) -> list[EnrichedMessage]:
    """The openings of repaired messages. assemble writes the first version of each."""
    assert written(commands, "enriched-messages") == []
    opened: list[Enrichment] = outputs(commands, "enrichments", Enrichment)
    return [decode(EnrichedMessage, one.snapshot) for one in opened]


def set_aside(
    commands: Commands,
    offset: int,
    *,
    stage: str = "dedupe",
    tenant: str = "acme",
    topic: str = "raw-messages",
    value: bytes = b"{",
    topic_id: str = "",
) -> None:
    async def written_(connection: Connection) -> None:
        headers = json.dumps({"tenant": tenant, "traceparent": "\u00ff", "generation": "0"})
        columns = [[one] for one in (stage, topic, 0, tenant, "not_json", "no JSON", "k", offset, NOW + timedelta(seconds=offset), b"\xffk", value,
                                     headers, "1", topic_id)]  # fmt: skip
        await connection.execute(queries("sink")["insert_quarantined"], *columns)

    commands.database(written_)
