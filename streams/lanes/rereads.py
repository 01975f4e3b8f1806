"""Re-reads records of a source partition for entries that do not contain their body."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.outcomes import Unavailable
from schemas.settings import Kafka
from storage.kafka.client import reader_config
from storage.waiting import Deadline
from streams.lanes.kafka_errors import is_passing
from streams.lanes.transactions import LaneIdentity

READ_SECONDS = 10.0


class RecordsBehind:
    """Re-reads records of one partition with one consumer, which the first read opens.

    The consumer continues at its position if it can, because stubs are mostly read in
    order. It has a thread of its own: in asyncio's small pool, the re-reads of one tenant
    would delay the inspection of all other tenants' files.
    """

    def __init__(self, settings: Kafka, identity: LaneIdentity) -> None:
        self._settings = settings
        self._identity = identity
        self._consumer: Consumer | None = None
        self._position = -1
        self._closed = False
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"behind-{identity.partition}")

    async def read(self, offset: int) -> bytes | None:
        """The record's value, or None if the source no longer has it or this reader is closed.

        Raises Unavailable if the brokers do not answer within READ_SECONDS.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.value_at, offset)

    def value_at(self, offset: int) -> bytes | None:
        """Does the same as `read`, but blocks the calling thread."""
        with self._lock:
            if self._closed:
                return None
            deadline = Deadline(READ_SECONDS)
            consumer = self._standing_at(offset)
            ends = 0
            while not deadline.has_passed:
                for message in consumer.consume(1, 0.2):
                    self._position = (message.offset() or 0) + 1
                    if message.error() is None:
                        return message.value() if message.offset() == offset else None
                    self._position = -1
                    if _is_end(message):
                        # The first such event may be old: it may report the end that was
                        # stable when the previous record was read. So it asks again.
                        ends += 1
                        self._assign(offset)
                    elif _is_gone(message):
                        return None
            self._position = -1
            if ends > 1:
                return None
            # If it no longer knows any broker, it never reconnects.
            self._consumer = None
            raise Unavailable("kafka", 1.0, detail="a record could not be read again")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._consumer is not None:
                self._consumer.close()

    def _standing_at(self, offset: int) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(
                reader_config(self._settings, self._identity.group)
                | {
                    "auto.offset.reset": "error",
                    "enable.partition.eof": True,
                    "fetch.wait.max.ms": 50,
                    "fetch.message.max.bytes": 256 * 1024,
                    "queued.max.messages.kbytes": 1_024,
                }
            )
        if offset != self._position:
            self._assign(offset)
        return self._consumer

    def _assign(self, offset: int) -> None:
        assert self._consumer is not None
        self._consumer.assign(
            [TopicPartition(self._identity.source, self._identity.partition, offset)]
        )


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def _is_gone(message: Message) -> bool:
    """True if the error means that the record no longer exists.

    Raises KafkaException for an error that does not end by itself.
    """
    error = message.error()
    assert error is not None
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        return True
    if not is_passing(error):
        raise KafkaException(error)
    return False
