import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from schemas.outcomes import Unavailable
from schemas.settings import Kafka
from schemas.topics import Names
from storage import waiting
from streams.lanes import rereads as rereads_module
from streams.lanes.rereads import RecordsBehind
from streams.lanes.transactions import LaneIdentity


async def test_stubs_that_are_slow_to_read_leave_the_threads_of_others_free() -> None:
    identity = LaneIdentity(
        "describe", "group", "vision", "log", "receipts", 0, frozenset(), Names()
    )
    behind, released = (
        RecordsBehind(Kafka(bootstrap_servers="127.0.0.1:9"), identity),
        threading.Event(),
    )
    behind.value_at = lambda offset: b"x" if released.wait(30) else None  # type: ignore[method-assign]
    stubs = [asyncio.create_task(behind.read(offset)) for offset in range(200)]
    await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.to_thread(lambda: None), 60)
    released.set()
    assert await asyncio.gather(*stubs) == [b"x"] * 200


class Source:
    """A consumer of a partition.

    An end of the partition that it reported waits in its queue until it is assigned
    again.
    """

    def __init__(self, *queued: Any, fetched: dict[int, Any]) -> None:
        self.queue: list[Any] = list(queued)
        self.fetched = fetched
        self.clock = 0.0

    def __call__(self, _config: Any) -> "Source":
        return self

    def assign(self, places: Any) -> None:
        self.queue = [self.fetched[places[0].offset]] if places[0].offset in self.fetched else []

    def consume(self, _count: int, seconds: float) -> list[Any]:
        self.clock += seconds
        return [self.queue.pop(0)] if self.queue else []


def at(offset: int, code: int | None = None) -> Any:
    error = None if code is None else KafkaError(code)
    return SimpleNamespace(offset=lambda: offset, value=lambda: b"body", error=lambda: error)


def reading(source: Source, monkeypatch: pytest.MonkeyPatch) -> RecordsBehind:
    identity = LaneIdentity(
        "describe", "group", "vision", "log", "receipts", 0, frozenset(), Names()
    )
    monkeypatch.setattr(rereads_module, "Consumer", source)
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: source.clock))
    return RecordsBehind(Kafka(), identity)


END = KafkaError._PARTITION_EOF


def test_an_end_that_was_heard_before_the_record_came_does_not_say_that_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Source(fetched={10: at(10), 11: at(11)})
    behind = reading(source, monkeypatch)
    assert behind.value_at(10) == b"body"
    source.queue.append(at(11, END))
    assert behind.value_at(11) == b"body"


def test_a_record_behind_the_end_of_its_partition_is_gone_and_silent_brokers_say_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert reading(Source(fetched={11: at(11, END)}), monkeypatch).value_at(11) is None
    silent = Source(fetched={10: at(10)})
    behind = reading(silent, monkeypatch)
    assert behind.value_at(10) == b"body"
    silent.queue.append(at(11, END))
    with pytest.raises(Unavailable):
        behind.value_at(11)
