"""Clients that librdkafka leaves without brokers.

One that asks is replaced, and the role of one that reads ends.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.postgres import quarantine_writer
from connectors.postgres.writer import Placed
from schemas.outcomes import Unavailable
from schemas.records import Source
from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka import reconnection
from storage.kafka.reconnection import ConsumerContact, CutOff, Renewed

KAFKA = Kafka(bootstrap_servers="127.0.0.1:9")


class Asked:
    """Replaces a client: it answers, or finds no broker."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.questions = 0

    def list_topics(self, topic: str, timeout: float) -> Any:
        self.questions += 1
        if not self.answers:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(topics={})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(
        reconnection,
        "Deadline",
        lambda seconds: SimpleDeadline(now, now.seconds + seconds),
    )
    return now


class SimpleDeadline:
    def __init__(self, clock: SimpleNamespace, at: float) -> None:
        self._clock, self._at = clock, at

    @property
    def has_passed(self) -> bool:
        return bool(self._clock.seconds >= self._at)


def watched(
    monkeypatch: pytest.MonkeyPatch, *, consumer: bool, new_client: bool
) -> tuple[ConsumerContact, Asked]:
    asked = Asked(answers=consumer)
    monkeypatch.setattr(reconnection, "AdminClient", lambda config: Asked(answers=new_client))
    return ConsumerContact(KAFKA, asked, "topic"), asked  # type: ignore[arg-type]


def test_a_consumer_without_brokers_is_cut_off_when_a_new_client_finds_them(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, asked = watched(monkeypatch, consumer=False, new_client=True)
    reading.check()
    assert not asked.questions, "it was silent for no time yet"
    clock.seconds = reconnection.SILENT_SECONDS
    reading.check()
    reading.check()
    assert asked.questions == 1, "it may be about to connect again"
    clock.seconds += reconnection.AGAIN_SECONDS
    with pytest.raises(CutOff, match="topic"):
        reading.check()


def test_a_consumer_that_connects_later_than_a_new_client_continues(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, asked = watched(monkeypatch, consumer=False, new_client=True)
    for _ in range(5):
        asked.answers = False
        clock.seconds += reconnection.SILENT_SECONDS
        reading.check()
        asked.answers = True
        clock.seconds += reconnection.AGAIN_SECONDS
        reading.check()
    assert asked.questions == 10


def test_a_consumer_whose_brokers_are_away_waits_for_them(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, asked = watched(monkeypatch, consumer=False, new_client=False)
    clock.seconds = reconnection.SILENT_SECONDS
    reading.check()
    assert asked.questions == 1


def test_a_consumer_with_nothing_to_read_is_asked_once_in_a_while(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, asked = watched(monkeypatch, consumer=True, new_client=True)
    for _ in range(100):
        clock.seconds += reconnection.SILENT_SECONDS / 20
        reading.check()
    assert asked.questions == 5


def test_a_consumer_that_reads_is_not_asked(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, asked = watched(monkeypatch, consumer=False, new_client=True)
    for _ in range(100):
        clock.seconds += reconnection.SILENT_SECONDS / 2
        reading.note_contact()
        reading.check()
    assert not asked.questions


def test_a_client_is_made_again_after_a_failure_and_only_then() -> None:
    made = [Asked(answers=False), Asked(answers=True)]
    renewed = Renewed(iter(made).__next__)

    def ask() -> object:
        return renewed.call(lambda client: client.list_topics("topic", timeout=1))

    with pytest.raises(KafkaException):
        ask()
    ask()
    ask()
    assert [client.questions for client in made] == [1, 2]


async def test_what_the_sink_sets_aside_goes_through_a_new_producer_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = iter([1, 0])
    made: list[Any] = []

    def producer(config: object) -> Any:
        made.append(
            SimpleNamespace(produce=lambda *_, **__: None, flush=lambda seconds: next(left))
        )
        return made[-1]

    monkeypatch.setattr(quarantine_writer, "Producer", producer)
    setting_aside = quarantine_writer.QuarantineWriter(KAFKA, Names(""))
    placed = Placed(Source(topic="enriched-messages", partition=0, offset=1), None, b"t:p:m", b"")
    with pytest.raises(Unavailable):
        await setting_aside.write_tombstones([placed])
    assert len(made) == 2
    await setting_aside.write_tombstones([placed])
    assert len(made) == 2
