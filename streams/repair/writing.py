"""Records of a repair, written in one Kafka transaction: all of them are seen, or none."""

import uuid
from collections.abc import Iterable

from confluent_kafka import Producer

from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka.client import transactional_producer_config
from streams.lanes.transactions import Write

_SECONDS = 30.0


def write_all(settings: Kafka, names: Names, writes: Iterable[Write]) -> int:
    """Commits the records together and returns how many. Raises KafkaException; nothing is visible then."""
    producer = Producer(
        transactional_producer_config(settings, f"{names.prefix}sensorium-replay-{uuid.uuid4()}")
        | {"transaction.timeout.ms": 60_000, "message.timeout.ms": 60_000}
    )
    producer.init_transactions(_SECONDS)
    producer.begin_transaction()
    count = 0
    for write in writes:
        while True:
            try:
                producer.produce(write.topic, write.value, write.key, write.partition, headers=list(write.headers))
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
    producer.commit_transaction(_SECONDS)
    return count
