"""Records of a repair, written in Kafka transactions that last milliseconds.

Live readers of a topic see nothing behind an open transaction. So a portion is read, and waited for, before its transaction begins;
the transaction itself only writes and commits, and if the process dies in it, another one ends it (streams/repair/fencer.py).
"""

import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from confluent_kafka import KafkaException, Producer

from schemas.settings import Kafka
from schemas.topics import Names
from storage import failpoints
from storage.kafka.client import QUIET, transactional_producer_config
from streams.lanes.transactions import Write
from streams.repair.fencer import fenced_on_death

M = TypeVar("M")
CALL_SECONDS = 10.0
TRANSACTION_SECONDS = 5.0
"""The broker ends a transaction that is open for longer, also where nobody is left to fence it."""


@dataclass(frozen=True, slots=True)
class Item(Generic[M]):
    """What is seen whole or not at all, and where that leaves the one who asked for it."""

    writes: Sequence[Write]
    mark: M


class PortionLimits(NamedTuple):
    """A portion ends with the item that reaches one of them. `seconds` is the time it takes to collect: nothing is open meanwhile."""

    records: int = 500
    bytes: int = 2 * 1024 * 1024
    seconds: float = 5.0


LIMITS = PortionLimits()


@dataclass(slots=True)
class Portion(Generic[M]):
    """What one transaction committed: everything up to the item with this mark."""

    records: int
    mark: M


def committed_portions(
    settings: Kafka, names: Names, items: Iterable[Item[M]], limits: PortionLimits = LIMITS
) -> Iterator[Portion[M]]:
    """Writes the items in their order, one transaction after another; gives each portion once it is committed.

    Raises KafkaException, or what `items` raises: what was not given was not committed, or nobody could say so any more.
    """
    waiting = iter(items)
    collected = _collect(waiting, limits)
    if not collected:
        return
    transactional_id = f"{names.prefix}sensorium-replay-{uuid.uuid4()}"
    producer = Producer(
        transactional_producer_config(settings, transactional_id)
        | QUIET
        | {
            "transaction.timeout.ms": int(TRANSACTION_SECONDS * 1000),
            "message.timeout.ms": int(TRANSACTION_SECONDS * 1000),
        }
    )
    producer.init_transactions(CALL_SECONDS)
    with fenced_on_death(settings, transactional_id):
        while collected:
            writes = [write for item in collected for write in item.writes]
            if writes:
                _commit(producer, writes)
            yield Portion(len(writes), collected[-1].mark)
            collected = _collect(waiting, limits)


def _collect(waiting: Iterator[Item[M]], limits: PortionLimits) -> list[Item[M]]:
    """The items of the next portion; none: there are no more."""
    began, records, size = time.monotonic(), 0, 0
    collected: list[Item[M]] = []
    for item in waiting:
        collected.append(item)
        records += len(item.writes)
        size += sum(len(write.key) + len(write.value or b"") for write in item.writes)
        if (
            records >= limits.records
            or size >= limits.bytes
            or time.monotonic() - began >= limits.seconds
        ):
            break
    return collected


def _commit(producer: Producer, writes: Iterable[Write]) -> None:
    producer.begin_transaction()
    try:
        for write in writes:
            _produce(producer, write)
        failpoints.reached("replay_before_commit", producer.flush)
        producer.commit_transaction(CALL_SECONDS)
    except BaseException:
        with contextlib.suppress(
            KafkaException
        ):  # it ends by itself within seconds; until then it hides what follows it from readers
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
