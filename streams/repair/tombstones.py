"""Writes tombstones to the enriched topic: readers forget the message, and compaction
removes its versions.
"""

from collections.abc import Iterable

from confluent_kafka import KafkaError, Producer

from schemas.keys import TenantId, conversation_partition
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import QUIET, plain_producer_config

ACKNOWLEDGED_SECONDS = 30.0


class Tombstones:
    """Writes each tombstone to the partition of the message's conversation, where its versions are."""

    def __init__(self, settings: Settings) -> None:
        self._topic = Names(settings.namespace).topic("enriched-messages")
        self._partitions = settings.kafka.partitions
        self._producer = Producer(plain_producer_config(settings.kafka) | QUIET)

    def write(self, tenant: TenantId, messages: Iterable[tuple[str, str]]) -> None:
        """Writes one tombstone per (message key, conversation id).

        Returns when Kafka has acknowledged all, or raises Unavailable.
        """
        failures: list[KafkaError] = []
        for message_key, conversation_id in messages:
            self._producer.produce(
                self._topic,
                None,
                message_key.encode(),
                conversation_partition(tenant, conversation_id, self._partitions),
                headers=[("tenant", tenant.encode())],
                on_delivery=lambda error, _message: failures.append(error) if error else None,
            )
        if self._producer.flush(ACKNOWLEDGED_SECONDS) or failures:
            raise Unavailable("kafka", 2.0, detail="tombstones were not acknowledged")
