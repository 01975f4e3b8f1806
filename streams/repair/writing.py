"""Records of a repair, written in Kafka transactions of bounded size and time."""

import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from confluent_kafka import KafkaException, Producer

from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka.client import QUIET, transactional_producer_config
from streams.lanes.transactions import Write

M = TypeVar("M")
CALL_SECONDS = 10.0
COMMIT_SECONDS = 30.0
TRANSACTION_SECONDS = 60.0
"""The broker ends a transaction that is open for longer. A portion is far from it, whatever waits between two items."""


@dataclass(frozen=True, slots=True)
class Item(Generic[M]):
    """What is seen whole or not at all, and where that leaves the one who asked for it."""

    writes: Sequence[Write]
    mark: M


class Limits(NamedTuple):
    """A portion ends with the item that reaches one of them."""

    records: int = 2_000
    bytes: int = 16 * 1024 * 1024
    seconds: float = 5.0


LIMITS = Limits()


@dataclass(slots=True)
class Portion(Generic[M]):
    """What one transaction committed: everything up to the item with this mark."""

    records: int
    mark: M


def committed_portions(
    settings: Kafka, names: Names, items: Iterable[Item[M]], limits: Limits = LIMITS
) -> Iterator[Portion[M]]:
    """Writes the items in their order, one transaction after another; gives each portion once it is committed.

    Raises KafkaException, or what `items` raises: what was not given was not committed, or nobody could say so any more.
    """
    producer = Producer(
        transactional_producer_config(settings, f"{names.prefix}sensorium-replay-{uuid.uuid4()}")
        | QUIET
        | {
            "transaction.timeout.ms": int(TRANSACTION_SECONDS * 1000),
            "message.timeout.ms": int(COMMIT_SECONDS * 1000),
        }
    )
    producer.init_transactions(CALL_SECONDS)
    waiting = iter(items)
    item = next(waiting, None)
    while item is not None:
        producer.begin_transaction()
        try:
            portion, item = _fill(producer, item, waiting, limits)
            producer.commit_transaction(COMMIT_SECONDS)
        except BaseException:
            with contextlib.suppress(
                KafkaException
            ):  # it ends by itself later; until then it hides what follows it from readers
                producer.abort_transaction(CALL_SECONDS)
            raise
        yield portion


def _fill(
    producer: Producer, first: Item[M], waiting: Iterator[Item[M]], limits: Limits
) -> tuple[Portion[M], Item[M] | None]:
    """Produces items until the portion is full; gives it, and the first item of the next one."""
    began, size, item = time.monotonic(), 0, first
    portion = Portion(0, first.mark)
    while True:
        for write in item.writes:
            _produce(producer, write)
            portion.records += 1
            size += len(write.key) + len(write.value or b"")
        portion.mark = item.mark
        following = next(waiting, None)
        if (
            following is None
            or portion.records >= limits.records
            or size >= limits.bytes
            or time.monotonic() - began >= limits.seconds
        ):
            return portion, following
        item = following


def _produce(producer: Producer, write: Write) -> None:
    while True:
        try:
            return producer.produce(
                write.topic, write.value, write.key, write.partition, headers=list(write.headers)
            )
        except BufferError:
            producer.poll(0.1)
