"""The records that the sink itself writes to Kafka.

These are records that Postgres refuses, and tombstones of deleted messages.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from confluent_kafka import KafkaError, Producer

from connectors.errors import ConnectorsError
from connectors.postgres.writer import Placed, RefusedRecords
from schemas.codec import encode
from schemas.keys import key_partition
from schemas.outcomes import Unavailable
from schemas.quarantine import quarantined
from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka.client import plain_producer_config

log = structlog.get_logger()
ACKNOWLEDGED_SECONDS = 5.0
"""Less than the time for which Postgres lets a transaction of ours be idle."""


class SinkStopped(ConnectorsError):
    """Continuing would lose or repeat records, so a person has to act.

    The message says what is wrong and what to do.
    """


class QuarantineWriter:
    """Writes records and returns once Kafka has acknowledged them.

    Raises Unavailable, and KafkaException in a fatal state.
    """

    def __init__(self, settings: Kafka, names: Names) -> None:
        self._settings = settings
        self._names = names
        self._producer = Producer(plain_producer_config(settings))

    async def quarantine(self, refused: RefusedRecords) -> None:
        """Writes records to quarantine.

        None of them comes from quarantine itself; the writer stores what it can of
        those.
        """
        failures: list[KafkaError] = []
        for placed, verdict in refused:
            log.error(
                "record_quarantined",
                stage="sink",
                reason=verdict.reason,
                partition=placed.source.partition,
                offset=placed.source.offset,
            )
            arrival = placed.arrival()
            self._producer.produce(
                self._names.topic("quarantine"),
                encode(quarantined(arrival, "sink", verdict, datetime.now(UTC))),
                placed.key,
                key_partition(placed.key, self._settings.partitions),
                headers=list(arrival.routing.to_headers()),
                on_delivery=lambda error, _message: failures.append(error) if error else None,
            )
        await self._acknowledged(failures, "quarantine")

    async def write_tombstones(self, placed: Sequence[Placed]) -> None:
        """Writes a tombstone for each message, to the message's own partition."""
        failures: list[KafkaError] = []
        for one in placed:
            self._producer.produce(
                self._names.topic("enriched-messages"),
                None,
                one.key,
                one.source.partition,
                headers=list(one.arrival().routing.to_headers()),
                on_delivery=lambda error, _message: failures.append(error) if error else None,
            )
        await self._acknowledged(failures, "tombstones")

    async def _acknowledged(self, failures: list[KafkaError], what: str) -> None:
        """Waits for acknowledgements.

        If any is missing, replaces the producer and raises. See
        storage/kafka/reconnection.py.
        """
        left = await asyncio.to_thread(self._producer.flush, ACKNOWLEDGED_SECONDS)
        if left or failures:
            self._producer = Producer(plain_producer_config(self._settings))
            raise Unavailable("kafka", 2.0, detail=f"{what} not acknowledged")
