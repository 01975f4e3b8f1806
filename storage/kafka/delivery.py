"""A producer whose `send` returns when all in-sync replicas have the record."""

import asyncio
import math
import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.headers import Headers
from schemas.outcomes import Unavailable
from schemas.settings import Kafka
from storage.kafka.client import plain_producer_config

POLL_SECONDS = 0.001
AWAY_AFTER_SECONDS = 5.0


class AcknowledgedProducer:
    """Concurrent sends share librdkafka's batches; a lone one waits at most the linger (1 ms) and a poll (1 ms).

    Delivery reports are polled on the event loop, and only while something is outstanding.
    """

    def __init__(self, settings: Kafka, *, ack_seconds: float, max_queued: int = 100_000) -> None:
        self._ack_seconds = ack_seconds
        self._producer = Producer(
            plain_producer_config(settings)
            | {
                "linger.ms": 1,
                "delivery.timeout.ms": int(ack_seconds * 1000),
                "request.timeout.ms": int(ack_seconds * 1000),
                "queue.buffering.max.messages": max_queued,
                "queue.buffering.max.kbytes": 131_072,
                "socket.keepalive.enable": True,
                "reconnect.backoff.max.ms": 1_000,
                "error_cb": lambda error: None,
            }
        )
        self._outstanding = 0
        self._poller: asyncio.Task[None] | None = None
        self._failing_since: float | None = -math.inf

    @property
    def healthy(self) -> bool:
        """False until Kafka was reached once, and when nothing was acknowledged for a while although something was sent."""
        return (
            self._failing_since is None
            or time.monotonic() - self._failing_since < AWAY_AFTER_SECONDS
        )

    async def check(self) -> None:
        """One round trip to the brokers; sets `healthy`."""
        try:
            await asyncio.to_thread(self._producer.list_topics, timeout=2.0)
            self._failing_since = None
        except KafkaException:
            self._failing_since = -math.inf

    async def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        headers: Headers,
        *,
        seconds: float | None = None,
    ) -> None:
        """Returns when Kafka has it. Raises Unavailable when it did not say so within `seconds` (at most `ack_seconds`): it may still be written."""
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[None] = loop.create_future()

        def report(error: KafkaError | None, _message: Message) -> None:
            self._outstanding -= 1
            if error is None:
                self._failing_since = None
            else:
                self._failed()
            if delivered.done():
                return
            if error is None:
                delivered.set_result(None)
            else:
                delivered.set_exception(Unavailable("kafka", 1.0, detail=str(error.name())))

        try:
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=report)
        except BufferError:
            raise Unavailable("kafka", 1.0, detail="producer queue full") from None
        except KafkaException as error:
            raise Unavailable("kafka", 1.0, detail=str(error.args[0].name())) from error
        self._outstanding += 1
        if self._poller is None or self._poller.done():
            self._poller = loop.create_task(self._poll())
        try:
            async with asyncio.timeout(self._ack_seconds if seconds is None else seconds):
                await delivered
        except TimeoutError:
            self._failed()
            raise Unavailable("kafka", 1.0, detail="no acknowledgement in time") from None

    async def drain(self, seconds: float) -> int:
        """Waits for what is outstanding; returns how many are not acknowledged."""
        return int(await asyncio.to_thread(self._producer.flush, seconds))

    async def _poll(self) -> None:
        while self._outstanding > 0:
            self._producer.poll(0)
            await asyncio.sleep(POLL_SECONDS)

    def _failed(self) -> None:
        if self._failing_since is None:
            self._failing_since = time.monotonic()
