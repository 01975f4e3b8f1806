from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.settings import Kafka
from storage.kafka import reading
from storage.kafka.lag import GroupBehind
from storage.kafka.reading import TopicReader
from storage.kafka.reconnection import Renewed
from streams.lanes import transactions
from streams.lanes.transactions import PartitionTransactions

NOW = datetime(2026, 11, 24, tzinfo=UTC)
FOUND = [
    SimpleNamespace(partition=0, offset=7, error=None),
    SimpleNamespace(partition=1, offset=-1001, error=None),
]
WRONG = SimpleNamespace(partition=2, offset=-1001, error=KafkaError(KafkaError.REQUEST_TIMED_OUT))


def reader(*found: Any) -> TopicReader:
    made = TopicReader(Kafka(bootstrap_servers="127.0.0.1:9", partitions=2), "group")
    made._consumer = SimpleNamespace(  # type: ignore[assignment]
        list_topics=lambda *_, **__: SimpleNamespace(topics={}),
        offsets_for_times=lambda *_, **__: list(found),
        committed=lambda *_, **__: list(found),
    )
    return made


def test_a_partition_with_nothing_to_tell_is_at_its_end_or_left_out() -> None:
    assert reader(*FOUND).since("topic", NOW, {0: 9, 1: 5}) == {0: 7, 1: 5}
    assert reader(*FOUND).committed("topic") == {0: 7}


def test_the_error_of_one_partition_is_not_taken_for_nothing_there() -> None:
    with pytest.raises(KafkaException):
        reader(*FOUND, WRONG).since("topic", NOW, {0: 9, 1: 5, 2: 5})
    with pytest.raises(KafkaException):
        reader(*FOUND, WRONG).committed("topic")


def test_the_error_of_one_partition_does_not_make_a_group_look_quick() -> None:
    behind = GroupBehind(Kafka(bootstrap_servers="127.0.0.1:9", partitions=2), "group", "topic")
    consumer = SimpleNamespace(committed=lambda *_: [*FOUND, WRONG])
    behind._consumer = Renewed(lambda: consumer)  # type: ignore[arg-type]
    with pytest.raises(KafkaException):
        behind.seconds()


def ends_early(records: int, early: int, end: int) -> list[list[Any]]:
    """Messages of a consumer whose leader reports the end at `early` before it shows the rest."""

    def message(offset: int, error: KafkaError | None = None) -> Any:
        return SimpleNamespace(error=lambda: error, partition=lambda: 0, offset=lambda: offset)

    eof = KafkaError(KafkaError._PARTITION_EOF)
    return [
        [message(offset) for offset in range(early)],
        [message(early, eof)],
        [message(offset) for offset in range(early, records)],
        [message(end, eof)],
    ]


def test_an_end_that_comes_too_early_ends_no_read() -> None:
    """A leader that was just elected shows less than was acknowledged, for a moment."""
    made, answers = reader(), ends_early(5, 2, 6)
    made._consumer = SimpleNamespace(  # type: ignore[assignment]
        assign=lambda _: None, unassign=lambda: None, consume=lambda *_: answers.pop(0)
    )
    assert [one.offset() for one in made.read("topic", {0: 0}, {0: 6})] == [0, 1, 2, 3, 4]


def test_a_lane_loads_its_changelog_up_to_the_end_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = ends_early(5, 2, 6)
    consumer = SimpleNamespace(
        list_topics=lambda name, timeout: SimpleNamespace(
            topics={name: SimpleNamespace(partitions={})}
        ),
        get_watermark_offsets=lambda place, timeout: (0, 6),
        assign=lambda _: None,
        consume=lambda *_: answers.pop(0),
        close=lambda: None,
    )
    monkeypatch.setattr(transactions, "Consumer", lambda _: consumer)
    identity: Any = SimpleNamespace(group="g", source="source", changelog="changelog", partition=0)
    lane = PartitionTransactions(Kafka(bootstrap_servers="127.0.0.1:9"), identity)
    loaded = [one.offset() for batch in lane._changelog() for one in batch]
    assert loaded == [0, 1, 2, 3, 4]


def test_who_is_long_about_the_records_does_not_make_the_brokers_look_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def record(offset: int) -> Any:
        return SimpleNamespace(error=lambda: None, partition=lambda: 0, offset=lambda: offset)

    made = reader()
    answers: list[list[Any]] = [[record(0), record(1)], [], [record(2)]]
    made._consumer = SimpleNamespace(  # type: ignore[assignment]
        assign=lambda _: None, unassign=lambda: None, consume=lambda *_: answers.pop(0)
    )
    read = []
    for message in made.read("topic", {0: 0}, {0: 3}):
        read.append(message.offset())
        clock.now += 40.0
    assert read == [0, 1, 2]
