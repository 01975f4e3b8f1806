"""Checks in Kafka that every message accepted from a tenant has become a row in Postgres.

Requests with `in_order` need this check: of two messages, the one that was accepted
later can become a row first (docs/decisions/0016).
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors.console.queries import ConsoleQueries
from schemas.keys import TenantId
from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka.client import QUIET, client_config, reader_config
from storage.waiting import Deadline

AGAIN_SECONDS = 0.02
ANSWER_SECONDS = 5.0
"""Time limit for one answer of Kafka; after it the check fails."""
MOST_READ = 2_000
"""Limit of records that one check reads.

Beyond it, the check assumes that one of the tenant's records is among them.
"""
Offsets = dict[int, int]
_Result = TypeVar("_Result")


class Accepted:
    """Checks one request at a time, in its own thread."""

    def __init__(
        self,
        settings: Kafka,
        names: Names,
        reading: ConsoleQueries,
        trouble: Callable[[], str] = lambda: "",
    ) -> None:
        self._raw = names.topic("raw-messages")
        self._enriched = names.topic("enriched-messages")
        self._reading = reading
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="accepted")
        self._make = partial(_Reader, settings, names.group("dedupe"))
        self._kafka = self._make()
        self._ended = False
        self._trouble = trouble

    async def is_stored(self, tenant_id: TenantId, deadline: Deadline) -> bool:
        """Returns True as soon as every message accepted from the tenant before the call is a row.

        Returns False if that is not known by the deadline, if Kafka does not answer, or if
        `trouble` says that a topic has another partition count than the settings say.
        1. Read the end offsets of the raw topic. Everything accepted so far is before
            them.
        2. Wait until dedupe has decided on every record of the tenant before those
            offsets.
        3. Read the end offsets of the enriched topic. What dedupe wrote is before them.
        4. Wait until the transactions before those offsets have been decided and the
            sink has stored the tenant's records.
        """
        if self._trouble():
            return False
        try:
            ends = await self._in_thread(lambda: self._kafka.ends(self._raw))  # 1
            while await self._in_thread(lambda: self._undecided(tenant_id, ends)):  # 2
                if not await self._again(deadline):
                    return False
            tails = await self._in_thread(lambda: self._kafka.ends(self._enriched))  # 3
            while True:  # 4
                positions = await self._reading.sink_positions(tenant_id, self._enriched)
                unstored = partial(self._unstored, tenant_id, positions, tails)
                if not await self._in_thread(unstored):
                    return True
                if not await self._again(deadline):
                    return False
        except (KafkaException, TimeoutError):
            await self._in_thread(self._renew)  # see storage/kafka/reconnection.py
            return False

    def end(self) -> None:
        """Ends all waiting, because a role that shuts down answers its requests at once."""
        self._ended = True

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._kafka.close()

    def _renew(self) -> None:
        self._kafka.close()
        self._kafka = self._make()

    def _undecided(self, tenant_id: TenantId, ends: Mapping[int, int]) -> bool:
        positions = self._kafka.committed(self._raw, ends)
        return self._kafka.holds(self._raw, positions, ends, f"{tenant_id}:".encode())

    def _unstored(
        self, tenant_id: TenantId, positions: Mapping[int, int], tails: Mapping[int, int]
    ) -> bool:
        decided = self._kafka.ends(self._enriched, decided=True)
        if any(decided[partition] < tail for partition, tail in tails.items()):
            return True
        begin = {partition: positions.get(partition, -1) for partition in tails}
        prefix = f"{tenant_id}:".encode()
        return self._kafka.holds(self._enriched, begin, tails, prefix, decided=True)

    async def _again(self, deadline: Deadline) -> bool:
        await asyncio.sleep(AGAIN_SECONDS)
        return not deadline.has_passed and not self._ended

    async def _in_thread(self, call: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


class _Reader:
    """Two consumers that join no group and commit nothing.

    One reads uncommitted records too, the other only committed ones.
    """

    def __init__(self, settings: Kafka, group: str) -> None:
        self._partitions = range(settings.partitions)
        config = (
            reader_config(settings, group)
            | QUIET
            | {"enable.partition.eof": True, "fetch.wait.max.ms": 10}
        )
        self._config = config
        self._admin = AdminClient(client_config(settings) | QUIET)
        self._made: dict[bool, Consumer] = {}

    def ends(self, topic: str, *, decided: bool = False) -> Offsets:
        """Returns the end offset of each partition, in one request.

        With `decided`, the end is the last stable offset: all transactions before it
        have been committed or aborted.
        """
        level = IsolationLevel.READ_COMMITTED if decided else IsolationLevel.READ_UNCOMMITTED
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        specs = {TopicPartition(topic, one): latest for one in self._partitions}
        found = self._admin.list_offsets(
            specs, isolation_level=level, request_timeout=ANSWER_SECONDS
        )
        return {one.partition: future.result().offset for one, future in found.items()}

    def committed(self, topic: str, ends: Mapping[int, int]) -> Offsets:
        """Returns the committed offset of each partition in which the group has not
        reached the end.
        """
        partitions = [TopicPartition(topic, partition) for partition in ends]
        found = self._consumer(True).committed(partitions, timeout=ANSWER_SECONDS)
        return {one.partition: one.offset for one in found if one.offset < ends[one.partition]}

    def holds(
        self,
        topic: str,
        begin: Mapping[int, int],
        end: Mapping[int, int],
        prefix: bytes,
        *,
        decided: bool = False,
    ) -> bool:
        """Returns True if a record whose key has this prefix is in the range.

        Transaction markers and records of other tenants do not count.
        """
        left = {}
        for partition, first in begin.items():
            if first < end.get(partition, 0):
                left[partition] = max(first, self._bounds(topic, partition, decided)[0])
        if not left:
            return False
        consumer = self._consumer(decided)
        consumer.assign([TopicPartition(topic, one, offset) for one, offset in left.items()])
        try:
            return self._meets(consumer, left, end, prefix)
        finally:
            consumer.unassign()

    def close(self) -> None:
        for consumer in self._made.values():
            consumer.close()

    @staticmethod
    def _meets(consumer: Consumer, left: Offsets, end: Mapping[int, int], prefix: bytes) -> bool:
        deadline = Deadline(ANSWER_SECONDS)
        for _ in range(MOST_READ):
            message = consumer.poll(deadline.left)
            if message is None:
                raise TimeoutError
            if _is_before(message, end) and (message.key() or b"").startswith(prefix):
                return True
            if not _is_before(message, end):
                left.pop(message.partition() or 0, None)
                if not left:
                    return False
        return True

    def _bounds(self, topic: str, partition: int, decided: bool) -> tuple[int, int]:
        found: tuple[int, int] = self._consumer(decided).get_watermark_offsets(
            TopicPartition(topic, partition), timeout=ANSWER_SECONDS
        )
        return found

    def _consumer(self, decided: bool) -> Consumer:
        if decided not in self._made:
            level = "read_committed" if decided else "read_uncommitted"
            self._made[decided] = Consumer(self._config | {"isolation.level": level})
        return self._made[decided]


def _is_before(message: Message, end: Mapping[int, int]) -> bool:
    """Returns True for a record before the end of its partition. Raises KafkaException."""
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return error is None and (message.offset() or 0) < end.get(message.partition() or 0, 0)
