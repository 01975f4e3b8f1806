"""Writes tombstones to the enriched topics: readers forget the message, and compaction
removes its versions.
"""

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.headers import Headers, Routing, new_traceparent
from schemas.keys import TenantId, conversation_partition
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from storage.kafka.client import QUIET, plain_producer_config
from streams.repair.topic_sets import TopicSet, sets_of_topics

ACKNOWLEDGED_SECONDS = 30.0


class Tombstones:
    """Writes each tombstone to every set of topics of the pipeline, where versions may be.

    In a set it goes to the partition of the message's conversation.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = Producer(plain_producer_config(settings.kafka) | QUIET)

    def write(self, tenant: TenantId, messages: Iterable[tuple[str, str]]) -> int:
        """Writes one tombstone per set and (message key, conversation id).

        Returns how many, when Kafka has acknowledged all, or raises Unavailable. Blocks.
        """
        sets, named = self._sets(), list(messages)
        failures: list[KafkaError] = []
        for one_set in sets:
            topic, partitions = one_set.names.topic("enriched-messages"), one_set.kafka.partitions
            for message_key, conversation_id in named:
                self._producer.produce(
                    topic,
                    None,
                    message_key.encode(),
                    conversation_partition(tenant, conversation_id, partitions),
                    headers=list(headers_of_tombstone(tenant, message_key)),
                    on_delivery=lambda error, _message: failures.append(error) if error else None,
                )
        if self._producer.flush(ACKNOWLEDGED_SECONDS) or failures:
            raise Unavailable("kafka", 2.0, detail="tombstones were not acknowledged")
        return len(sets) * len(named)

    def _sets(self) -> list[TopicSet]:
        try:
            return sets_of_topics(self._settings, ACKNOWLEDGED_SECONDS)
        except KafkaException as error:
            raise Unavailable("kafka", 2.0, detail=error.args[0].str()) from error


def headers_of_tombstone(tenant: TenantId, message_key: str) -> Headers:
    """Returns the headers of a tombstone that no other record causes."""
    _, _, rest = message_key.partition(":")
    provider, _, _ = rest.partition(":")
    routing = Routing(
        tenant_id=tenant, provider=provider or "unknown", traceparent=new_traceparent()
    )
    return routing.to_headers()
