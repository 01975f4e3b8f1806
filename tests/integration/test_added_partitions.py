"""A producer that learns of added partitions before any process has compared the counts."""

import asyncio
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from connectors.postgres.quarantine_writer import QuarantineWriter
from connectors.postgres.writer import Placed
from schemas.outcomes import Quarantine
from schemas.records import Source
from schemas.settings import Kafka, Settings
from schemas.topics import Names
from storage.kafka.client import client_config, reader_config
from storage.kafka.delivery import AcknowledgedProducer
from storage.waiting import Deadline
from tests.integration.waiting import until
from tests.topics import make_topics
from tests.unit.records import message

KEYS = [b"acme:ycloud:wamid.%d" % number for number in range(60)]


def add_partitions(kafka: Kafka, topic: str, producer: Producer) -> int:
    """Doubles the partitions, and waits until the producer knows them."""
    count = 2 * kafka.partitions
    added: Any = NewPartitions(topic, count)
    admin = AdminClient(client_config(kafka))
    admin.create_partitions([added])[topic].result(30)
    while len(producer.list_topics(topic, timeout=20).topics[topic].partitions) < count:
        pass
    return count


def counts(kafka: Kafka, topic: str, partitions: int) -> list[int]:
    consumer = Consumer(reader_config(kafka, "test-added-partitions"))
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        return [_end(consumer, place) for place in places]
    finally:
        consumer.close()


def _end(consumer: Consumer, place: TopicPartition) -> int:
    """The end of a partition, whose leader may not know it yet if it was just added."""
    deadline = Deadline(30)
    while True:
        try:
            return int(consumer.get_watermark_offsets(place, 20)[1])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or deadline.has_passed:
                raise


async def test_a_receiver_writes_to_no_partition_that_was_added(
    stack: Settings, namespace: str
) -> None:
    kafka, names = stack.kafka, Names(namespace)
    topic = names.topic("raw-messages")
    await asyncio.to_thread(make_topics, kafka, names)
    producer = AcknowledgedProducer(kafka, topic, ack_seconds=20)
    await producer.check()
    partitions = await asyncio.to_thread(add_partitions, kafka, topic, producer._producer)
    answers: list[str | None] = []
    for key in KEYS:
        producer.send(topic, key, b"{}", [], answers.append)
    await until(lambda: len(answers) == len(KEYS))
    assert set(answers) == {None}
    found = await asyncio.to_thread(counts, kafka, topic, partitions)
    assert sum(found[: kafka.partitions]) == len(KEYS) and not any(found[kafka.partitions :])
    await producer.check()
    assert not producer.healthy


async def test_a_sink_quarantines_nothing_in_a_partition_that_was_added(
    stack: Settings, namespace: str
) -> None:
    settings = msgspec.structs.replace(stack, namespace=namespace)
    kafka, names = settings.kafka, Names(namespace)
    topic = names.topic("quarantine")
    await asyncio.to_thread(make_topics, kafka, names)
    writer = QuarantineWriter(kafka, names)
    partitions = await asyncio.to_thread(add_partitions, kafka, topic, writer._producer)
    verdict = Quarantine("record_unstorable", "")
    await writer.quarantine(
        [
            (
                Placed(
                    Source(topic="enriched-messages", partition=0, offset=at), message(), key, b""
                ),
                verdict,
            )
            for at, key in enumerate(KEYS)
        ]
    )
    found = await asyncio.to_thread(counts, kafka, topic, partitions)
    assert sum(found[: kafka.partitions]) == len(KEYS) and not any(found[kafka.partitions :])
