"""A producer that reports for each record when all in-sync replicas have it."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.headers import Headers
from schemas.keys import key_partition
from schemas.outcomes import Unavailable
from schemas.settings import Kafka
from storage.errors import StorageError
from storage.kafka.client import plain_producer_config
from storage.kafka.counts import REMEDY, wrong_counts
from storage.kafka.reconnection import metadata_within, renewed_admin
from storage.kafka.send_gate import SendGate

log = structlog.get_logger()
POLL_SECONDS = 0.001
CHECK_SECONDS = 2.0
AWAY_AFTER_SECONDS = 5.0
"""The producer is unhealthy once sends have failed for this long without a success."""
TRIAL_AFTER_SECONDS = 15.0
"""After this long without a failed send the producer is healthy again, if the topic is available.

The next failed send then makes it unhealthy at once.
"""
STUCK_AFTER_SECONDS = 120.0
"""The role ends if all sends fail for this long although the topic is available."""


DeliveryCallback = Callable[[str | None], None]
"""Receives the result of a send: None if acknowledged, otherwise the error."""


class ProducerFatal(StorageError):
    """The producer will not send again, so the role has to end.

    librdkafka says so, or no record was acknowledged for a long time.
    """


class AcknowledgedProducer:
    """Sends records that share batches, and reports the result of each record.

    A single send waits at most for the linger (1 ms) and one poll (1 ms). Records are
    passed to librdkafka, and delivery reports are polled, in one place on the event loop,
    and only while records are outstanding (see send_gate.py). The role must run `run` beside
    its own work. `run` raises ProducerFatal.
    """

    def __init__(
        self, settings: Kafka, topic: str, *, ack_seconds: float, max_queued: int = 100_000
    ) -> None:
        self._settings = settings
        self._topic = topic
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
                "error_cb": self._note,
            }
        )
        # A separate client reads the metadata, because it is replaced after a failure.
        self._looker = renewed_admin(settings)
        self._wrong_count = ""
        self._fruitless_since: float | None = None
        self._max_queued = max_queued
        self._gathered: list[tuple[str, bytes, bytes, Headers, DeliveryCallback]] = []
        self._gate = SendGate()
        self._outstanding = 0  # at librdkafka
        self._is_turning = False
        self._reached = False
        self._failing_since: float | None = None
        self._failed_at = 0.0
        self._on_trial = False
        self._fatal: str | None = None
        self._ended = asyncio.Event()

    @property
    def healthy(self) -> bool:
        """True if a record that is sent now is likely to be acknowledged.

        False until the topic was available once, while it is not available or has another
        partition count than the settings, once sends have failed for AWAY_AFTER_SECONDS
        although the brokers answer, and in a fatal state.
        """
        return (
            self._fatal is None
            and not self._wrong_count
            and self._reached
            and (
                self._failing_since is None
                or time.monotonic() - self._failing_since < AWAY_AFTER_SECONDS
            )
        )

    async def run(self) -> None:
        """Checks the topic every CHECK_SECONDS, so that an outage shows early."""
        while self._fatal is None:
            await self.check()
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._ended.wait()
            except TimeoutError:
                continue
        raise ProducerFatal(f"the Kafka producer cannot be used any more: {self._fatal}")

    async def check(self) -> None:
        """Asks the brokers whether the topic is available.

        It is available if one of its partitions has a leader and enough in-sync replicas.
        """
        try:
            found = await asyncio.to_thread(self._looker.call, metadata_within(2.0))
        except KafkaException:
            self._reached = False
            return
        finally:
            self._producer.poll(0)
        topic = found.topics.get(self._topic)
        partitions = topic.partitions.values() if topic is not None else ()
        was_reached, min_in_sync = self._reached, self._settings.min_insync_replicas
        self._reached = any(
            one.leader >= 0 and len(one.isrs) >= min(min_in_sync, len(one.replicas))
            for one in partitions
        )
        self._compare_count(len(partitions))
        self._give_up_if_stuck()
        if not self._reached or self._failing_since is None:
            return
        if not was_reached:  # the outage explains the sends that failed
            self._failing_since = None
        elif time.monotonic() - self._failed_at >= TRIAL_AFTER_SECONDS:
            self._failing_since, self._on_trial = None, True

    def send(
        self, topic: str, key: bytes, value: bytes, headers: Headers, done: DeliveryCallback
    ) -> None:
        """Sends a record, and calls `done` once, on the event loop, after `send` has returned.

        `done` gets None if the record was acknowledged, otherwise the error, in which case
        the record may still have been written. Raises Unavailable if the record cannot be
        accepted, and then never calls `done`. A caller that stops waiting calls `overdue`.
        """
        if self._wrong_count:
            raise Unavailable("kafka", 5.0, detail="the topic has another number of partitions")
        if self._outstanding + len(self._gathered) >= self._max_queued:
            self._failed()
            raise Unavailable("kafka", 1.0, detail="producer queue full")
        self._gathered.append((topic, key, value, headers, done))
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def overdue(self) -> Unavailable:
        """Notes that a caller waited too long. Returns the error to report."""
        self._failed()
        return Unavailable("kafka", 1.0, detail="no acknowledgement in time")

    async def drain(self, seconds: float) -> int:
        """Waits up to `seconds`. Returns the number of unacknowledged records."""
        self._hand_over()
        return int(await asyncio.to_thread(self._producer.flush, seconds))

    def _report(self, done: DeliveryCallback, error: KafkaError | None, _message: Message) -> None:
        self._outstanding -= 1
        if error is None:
            self._failing_since = self._fruitless_since = None
            self._on_trial = False
            done(None)
        else:
            self._note(error)
            self._failed()
            done(str(error.name()))

    def _turn(self) -> None:
        """Serves delivery reports, then passes gathered records to librdkafka if the gate is open.

        If that raises, no caller would get a result any more, so the producer counts as
        fatal and the role ends.
        """
        try:
            self._producer.poll(0)
            if self._gathered and self._gate.opens(self._outstanding, time.monotonic()):
                self._hand_over()
        except Exception as error:
            log.exception("delivery_reports_failed")
            self._give_up(f"its delivery reports failed with {type(error).__name__}")
            return
        self._is_turning = self._outstanding > 0 or bool(self._gathered)
        if self._is_turning:
            asyncio.get_running_loop().call_later(POLL_SECONDS, self._turn)

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        produce, report = self._producer.produce, self._report
        for topic, key, value, headers, done in gathered:
            try:
                produce(
                    topic,
                    value,
                    key,
                    key_partition(key, self._settings.partitions),
                    headers=headers,  # type: ignore[arg-type]  # a list is invariant
                    on_delivery=partial(report, done),
                )
            except BufferError:
                self._failed()
                done("_QUEUE_FULL")
            except KafkaException as error:
                self._note(error.args[0])
                self._failed()
                done(str(error.args[0].name()))
            except Exception as error:  # concerns one record: the others are still passed on
                log.exception("record_not_handed_over")
                done(type(error).__name__)
            else:
                self._outstanding += 1

    def _compare_count(self, there: int) -> None:
        """Accepts nothing while the topic and the settings have different partition counts.

        A partition beyond the settings' count has no reader. A missing topic is not wrong.
        """
        found = wrong_counts({self._topic: there} if there else {}, [self._topic], self._settings)
        wrong = "; ".join(map(str, found))
        if wrong and wrong != self._wrong_count:
            log.error("partition_counts_wrong", detail=wrong, remedy=REMEDY)
        self._wrong_count = wrong

    def _give_up_if_stuck(self) -> None:
        if not self._reached:
            self._fruitless_since = None  # the outage explains it
        elif (
            self._fruitless_since is not None
            and self._failed_at - self._fruitless_since >= STUCK_AFTER_SECONDS
        ):
            self._give_up(
                f"no record was acknowledged for {STUCK_AFTER_SECONDS:g} s although the "
                "topic is available"
            )

    def _failed(self) -> None:
        self._failed_at = time.monotonic()
        if self._fruitless_since is None:
            self._fruitless_since = self._failed_at
        if self._failing_since is None:
            self._failing_since = self._failed_at - (AWAY_AFTER_SECONDS if self._on_trial else 0)

    def _note(self, error: KafkaError) -> None:
        """Checks each error from librdkafka for the fatal state.

        In the error of a record, only the code shows it.
        """
        if error.fatal() or error.code() == KafkaError._FATAL:
            self._give_up(error.str())

    def _give_up(self, why: str) -> None:
        if self._fatal is None:
            self._fatal = why
            log.error("producer_fatal", detail=why)
        self._ended.set()
