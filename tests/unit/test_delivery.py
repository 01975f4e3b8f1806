"""How the receiver's producer treats librdkafka's answers.

The client is replaced by one whose answers the test chooses.
"""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.outcomes import Unavailable
from schemas.settings import Kafka
from storage.kafka import delivery
from storage.kafka.delivery import AcknowledgedProducer, ProducerFatal
from storage.kafka.reconnection import Renewed
from storage.kafka.send_gate import SendGate
from tests.integration.waiting import until

FATAL = KafkaError(KafkaError._FATAL, "out of order sequence", fatal=True)
REFUSED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
TOPIC = "raw-messages"


class Scripted:
    """Replaces the client.

    Each record gets `answer`, `produce` raises `fails`, and metadata has `isrs`. While
    it is `silent`, no record is answered.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.error_cb: Callable[[KafkaError], None] = config["error_cb"]
        self.answer: KafkaError | None = None
        self.fails: Exception | None = None
        self.isrs, self.away, self.topic = [1, 2], False, TOPIC
        self.count = 1
        self.poll_fails: Exception | None = None
        self.silent = False
        self.waiting: list[Callable[..., None]] = []

    def produce(self, *_: Any, on_delivery: Callable[..., None], **__: Any) -> None:
        if self.fails is not None:
            raise self.fails
        self.waiting.append(on_delivery)

    def poll(self, _seconds: float) -> None:
        if self.poll_fails is not None:
            raise self.poll_fails
        while self.waiting and not self.silent:
            self.waiting.pop()(self.answer, None)

    def flush(self, seconds: float) -> int:
        self.poll(seconds)
        return len(self.waiting)

    def list_topics(self, timeout: float) -> Any:
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        partition = SimpleNamespace(leader=1, replicas=[1, 2, 3], isrs=self.isrs)
        partitions = dict.fromkeys(range(self.count), partition)
        return SimpleNamespace(topics={self.topic: SimpleNamespace(partitions=partitions)})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[AcknowledgedProducer, Scripted]:
    monkeypatch.setattr(delivery, "Producer", Scripted)
    monkeypatch.setattr(delivery, "CHECK_SECONDS", 0.01)
    kafka = Kafka(bootstrap_servers="nowhere:1", min_insync_replicas=2, partitions=1)
    producer: Any = AcknowledgedProducer(kafka, TOPIC, ack_seconds=1)
    producer._looker = Renewed(lambda: producer._producer)
    return producer, producer._producer


async def send(producer: AcknowledgedProducer, seconds: float = 1.0) -> None:
    """Returns when Kafka has the record.

    Raises Unavailable if Kafka does not have it, or does not answer in time.
    """
    told: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    producer.send(TOPIC, b"k", b"v", [], told.set_result)
    try:
        async with asyncio.timeout(seconds):
            trouble = await told
    except TimeoutError:
        raise producer.overdue() from None
    if trouble is not None:
        raise Unavailable("kafka", detail=trouble)


@pytest.mark.parametrize("seen_by", ["the error callback", "a delivery report", "produce"])
async def test_a_fatal_producer_is_not_healthy_and_ends_its_role(
    seen_by: str, made: tuple[AcknowledgedProducer, Scripted]
) -> None:
    producer, client = made
    running = asyncio.create_task(producer.run())
    await until(lambda: producer.healthy)
    await send(producer)
    match seen_by:
        case "the error callback":
            client.error_cb(FATAL)
        case "a delivery report":
            client.answer = KafkaError(KafkaError._FATAL)
            with pytest.raises(Unavailable):
                await send(producer)
        case _:
            client.fails = KafkaException(FATAL)
            with pytest.raises(Unavailable):
                await send(producer)
    assert not producer.healthy
    with pytest.raises(ProducerFatal):
        await asyncio.wait_for(running, 30)


async def test_a_broken_poller_of_delivery_reports_ends_its_role(
    made: tuple[AcknowledgedProducer, Scripted],
) -> None:
    producer, client = made
    await producer.check()
    client.poll_fails = RuntimeError("a callback raised")
    with pytest.raises(Unavailable):
        await send(producer, 0.05)
    client.poll_fails = None
    with pytest.raises(ProducerFatal):
        await asyncio.wait_for(producer.run(), 30)


async def test_metadata_that_answers_does_not_hide_sends_that_fail(
    made: tuple[AcknowledgedProducer, Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    producer, client = made
    monkeypatch.setattr(delivery, "AWAY_AFTER_SECONDS", 0.05)
    await producer.check()
    assert producer.healthy
    client.answer = REFUSED

    async def refused() -> bool:
        with pytest.raises(Unavailable):
            await send(producer)
        await producer.check()
        return not producer.healthy

    await until(refused)
    client.answer = None
    await send(producer)
    assert producer.healthy


async def test_after_a_quiet_time_a_failing_producer_is_tried_once_more(
    made: tuple[AcknowledgedProducer, Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    producer, client = made
    monkeypatch.setattr(delivery, "AWAY_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(delivery, "TRIAL_AFTER_SECONDS", 0.05)
    await producer.check()
    client.answer = REFUSED
    with pytest.raises(Unavailable):
        await send(producer)
    assert not producer.healthy

    async def tried_again() -> bool:
        await producer.check()
        return producer.healthy

    await until(tried_again)
    monkeypatch.setattr(delivery, "AWAY_AFTER_SECONDS", 60.0)
    with pytest.raises(Unavailable):
        await send(producer)
    assert not producer.healthy, "the first failure of the trial is enough"


@pytest.mark.parametrize(
    ("change", "healthy"),
    [
        ({}, True),
        ({"isrs": [1]}, False),
        ({"topic": "another"}, False),
        ({"away": True}, False),
        ({"count": 2}, False),
    ],
)
async def test_a_topic_that_could_take_no_record_is_not_ready(
    change: dict[str, Any], healthy: bool, made: tuple[AcknowledgedProducer, Scripted]
) -> None:
    producer, client = made
    vars(client).update(change)
    await producer.check()
    assert producer.healthy == healthy


async def test_what_failed_during_an_outage_is_forgotten_when_it_is_over(
    made: tuple[AcknowledgedProducer, Scripted],
) -> None:
    producer, client = made
    await producer.check()
    client.away, client.answer = True, REFUSED
    with pytest.raises(Unavailable):
        await send(producer)
    await producer.check()
    assert not producer.healthy
    client.away = False
    await producer.check()
    assert producer.healthy


async def test_nothing_is_sent_to_a_topic_whose_partitions_were_added_in_place(
    made: tuple[AcknowledgedProducer, Scripted],
) -> None:
    producer, client = made
    await producer.check()
    await send(producer)
    client.count = 2
    await producer.check()
    with pytest.raises(Unavailable, match="another number of partitions"):
        await send(producer)
    assert client.waiting == []
    client.count = 1
    await producer.check()
    await send(producer)


async def test_a_producer_nothing_comes_through_of_for_long_ends_its_role(
    made: tuple[AcknowledgedProducer, Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    producer, client = made
    monkeypatch.setattr(delivery, "STUCK_AFTER_SECONDS", 0.1)
    running = asyncio.create_task(producer.run())
    await until(lambda: producer.healthy)
    client.answer = REFUSED

    async def refused() -> bool:
        with pytest.raises(Unavailable):
            await send(producer)
        return running.done()

    await until(refused)
    with pytest.raises(ProducerFatal, match="no record was acknowledged"):
        await running


async def test_sends_that_fail_now_and_then_or_in_an_outage_end_no_role(
    made: tuple[AcknowledgedProducer, Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    producer, client = made
    monkeypatch.setattr(delivery, "STUCK_AFTER_SECONDS", 0.0)
    await producer.check()
    client.answer = REFUSED
    client.away = True
    with pytest.raises(Unavailable):
        await send(producer)
    await producer.check()
    client.away, client.answer = False, None
    await send(producer)
    await producer.check()
    assert producer.healthy


async def test_what_is_sent_while_records_are_on_their_way_is_handed_over_together(
    made: tuple[AcknowledgedProducer, Scripted],
) -> None:
    producer, client = made
    await producer.check()
    told: list[str | None] = []

    def send_some(count: int) -> None:
        for _ in range(count):
            producer.send(TOPIC, b"k", b"v", [], told.append)

    client.silent = True
    send_some(2)
    await until(lambda: len(client.waiting) == 2)
    send_some(3)
    await asyncio.sleep(0)
    assert len(client.waiting) == 2, "two are on their way"
    client.silent = False
    await until(lambda: told == [None] * 5)


async def test_records_that_are_never_acknowledged_do_not_hold_back_others(
    made: tuple[AcknowledgedProducer, Scripted],
) -> None:
    producer, client = made
    await producer.check()
    client.silent = True
    for count in range(1, 4):
        producer.send(TOPIC, b"k", b"v", [], lambda _trouble: None)
        await until(lambda count=count: len(client.waiting) == count)


@pytest.mark.parametrize(
    ("raised", "told"), [(BufferError(), "_QUEUE_FULL"), (TypeError("no bytes"), "TypeError")]
)
async def test_what_librdkafka_does_not_take_is_said_of_that_record_alone(
    made: tuple[AcknowledgedProducer, Scripted], raised: Exception, told: str
) -> None:
    producer, client = made
    await producer.check()
    client.fails = raised
    with pytest.raises(Unavailable, match=told):
        await send(producer)
    client.fails = None
    await send(producer)


async def test_more_records_than_may_wait_are_refused_at_once(
    made: tuple[AcknowledgedProducer, Scripted],
) -> None:
    producer, client = made
    producer._max_queued = 2
    client.silent = True
    for _ in range(2):
        producer.send(TOPIC, b"k", b"v", [], lambda _trouble: None)
    with pytest.raises(Unavailable, match="queue full"):
        producer.send(TOPIC, b"k", b"v", [], lambda _trouble: None)
    await until(lambda: len(client.waiting) == 2)
    with pytest.raises(Unavailable, match="queue full"):
        producer.send(TOPIC, b"k", b"v", [], lambda _trouble: None)


async def test_what_was_gathered_is_handed_over_before_the_producer_drains(
    made: tuple[AcknowledgedProducer, Scripted],
) -> None:
    producer, _ = made
    told: list[str | None] = []
    producer.send(TOPIC, b"k", b"v", [], told.append)
    assert await producer.drain(1.0) == 0
    assert told == [None]


def test_the_gate_waits_longer_for_records_that_do_not_arrive() -> None:
    gate = SendGate()
    times = [
        (0, 100.000, True),
        (1, 100.001, False),
        (0, 100.002, True),
        (1, 100.021, False),
        (1, 100.023, True),
        (1, 100.050, False),  # now 40 ms instead of 20
        (1, 100.064, True),
        (1, 100.140, False),  # 80 ms
        (1, 100.145, True),
        (1, 100.244, False),  # 100 ms, and never more
        (1, 100.246, True),
        (1, 100.345, False),
        (1, 100.347, True),
        (0, 100.348, True),
        (1, 100.369, True),  # 20 ms again
    ]
    assert [gate.opens(outstanding, now) for outstanding, now, _ in times] == [
        opens for *_, opens in times
    ]
