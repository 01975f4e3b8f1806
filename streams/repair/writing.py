"""Writes the records of a repair in Kafka transactions that last milliseconds.

Live readers of a topic see nothing after an open transaction. A portion is therefore
read completely before its transaction begins, and the transaction only writes and
commits. If the process dies in it, another process ends it (streams/repair/fencer.py).
"""

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from schemas.settings import Kafka
from schemas.topics import Names
from storage import failpoints
from storage.kafka.client import QUIET, reader_config, transactional_producer_config
from storage.waiting import Deadline
from streams.lanes.transactions import Write
from streams.repair.fencer import fenced_on_death

M = TypeVar("M")
CALL_SECONDS = 10.0
TRANSACTION_SECONDS = 5.0
"""The broker ends a longer transaction by itself, even if no process is left to fence it."""


@dataclass(frozen=True, slots=True)
class Item(Generic[M]):
    """Writes that are committed together, and the position of the reader after them."""

    writes: Sequence[Write]
    mark: M


class PortionLimits(NamedTuple):
    """A portion ends with the item that reaches one of these limits.

    `seconds` limits the time of collecting, while no transaction is open.
    """

    records: int = 500
    bytes: int = 2 * 1024 * 1024
    seconds: float = 5.0


LIMITS = PortionLimits()


@dataclass(slots=True)
class Portion(Generic[M]):
    """The part that one transaction committed: everything up to the item with this mark."""

    records: int
    mark: M


def committed_portions(
    settings: Kafka, names: Names, items: Iterable[Item[M]], limits: PortionLimits = LIMITS
) -> Iterator[Portion[M]]:
    """Writes the items in order, in successive transactions.

    It yields each portion after its commit. Raises KafkaException, or what `items`
    raises. A portion that was not yielded was not committed, or its outcome is unknown.
    """
    waiting = iter(items)
    collected = collect(waiting, limits)
    if not collected:
        return
    transactional_id = f"{names.prefix}sensorium-replay-{uuid.uuid4()}"
    producer = _producer(settings, transactional_id)
    with fenced_on_death(settings, transactional_id):
        while collected:
            writes = [write for item in collected for write in item.writes]
            if writes:
                _commit(producer, writes)
            yield Portion(len(writes), collected[-1].mark)
            collected = collect(waiting, limits)


class NumberedPortions:
    """The portions of one repair, each committed together with its number.

    The number is stored as the offset of the repair's own consumer group. Opening it
    fences the former writer of the repair and aborts its open transaction. Every call
    blocks, and raises KafkaException.
    """

    def __init__(self, settings: Kafka, names: Names, repair_id: str) -> None:
        self._settings = settings
        self._id = f"{names.prefix}sensorium-replay-{repair_id}"
        self._place = (names.topic("quarantine"), 0)
        self._closing = contextlib.ExitStack()

    def open(self) -> None:
        self._producer = _producer(self._settings, self._id)
        self._group = Consumer(reader_config(self._settings, self._id) | QUIET)
        self._closing.enter_context(fenced_on_death(self._settings, self._id))

    def committed(self) -> int:
        """The number of the last committed portion, or 0."""
        (position,) = self._group.committed([TopicPartition(*self._place)], CALL_SECONDS)
        if position.error is not None:
            raise KafkaException(position.error)
        return max(0, position.offset)

    def write(self, number: int, writes: Sequence[Write]) -> None:
        """Writes the portion in one transaction that does nothing else."""
        position = [TopicPartition(*self._place, number)]
        metadata = self._group.consumer_group_metadata()

        def add_number() -> None:
            self._producer.send_offsets_to_transaction(position, metadata, CALL_SECONDS)

        _commit(self._producer, writes, add_number)
        failpoints.reached("replay_after_commit")

    def close(self) -> None:
        self._closing.close()
        if hasattr(self, "_group"):
            self._group.close()
        vars(self).pop("_producer", None)


def _producer(settings: Kafka, transactional_id: str) -> Producer:
    producer = Producer(
        transactional_producer_config(settings, transactional_id)
        | QUIET
        | {
            "transaction.timeout.ms": int(TRANSACTION_SECONDS * 1000),
            "message.timeout.ms": int(TRANSACTION_SECONDS * 1000),
        }
    )
    producer.init_transactions(CALL_SECONDS)
    return producer


def collect(waiting: Iterator[Item[M]], limits: PortionLimits) -> list[Item[M]]:
    """Collects the items of the next portion. Returns none if there are no more."""
    deadline, records, size = Deadline(limits.seconds), 0, 0
    collected: list[Item[M]] = []
    for item in waiting:
        collected.append(item)
        records += len(item.writes)
        size += sum(len(write.key) + len(write.value or b"") for write in item.writes)
        if records >= limits.records or size >= limits.bytes or deadline.has_passed:
            break
    return collected


def _commit(
    producer: Producer, writes: Iterable[Write], before: Callable[[], None] = lambda: None
) -> None:
    producer.begin_transaction()
    try:
        for write in writes:
            _produce(producer, write)
        before()
        failpoints.reached("replay_before_commit", producer.flush)
        producer.commit_transaction(CALL_SECONDS)
    except BaseException:
        # If this fails, the broker ends the transaction within seconds. Until then readers do not
        # see what follows it.
        with contextlib.suppress(KafkaException):
            producer.abort_transaction(CALL_SECONDS)
        raise


def _produce(producer: Producer, write: Write) -> None:
    while True:
        try:
            return producer.produce(
                write.topic, write.value, write.key, write.partition, headers=list(write.headers)
            )
        except BufferError:
            producer.poll(0.1)
