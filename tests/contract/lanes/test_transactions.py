"""The transactions of a source partition, on the real broker: fence, load, position, atomicity."""

import asyncio
import time
from dataclasses import replace
from typing import cast

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from lane_world import SECONDS, Still, World, at_work, lines, until, write

from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka.client import reader_config, transactional_producer_config
from storage.kafka.reconnection import ConsumerContact
from streams.lanes import lane as lane_module
from streams.lanes.kafka_errors import is_fenced
from streams.lanes.lane import Lane
from streams.lanes.state import KeptValues
from streams.lanes.transactions import (
    Abandoned,
    LaneIdentity,
    OffsetLost,
    OffsetMissing,
    PartitionTransactions,
    Transaction,
    fence,
)


def opened(world: World, partition: int = 0) -> PartitionTransactions:
    transactions = world.transactions(partition)
    transactions.open(KeptValues())
    return transactions


def dangling(world: World, name: str, value: bytes = b"never committed") -> Producer:
    """Leaves a transaction of the lane's id open, whose records are on the broker."""
    producer = Producer(
        transactional_producer_config(world.kafka, world.identity().transactional_id)
    )
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(world.topic(name), value, partition=0)
    assert producer.flush(SECONDS) == 0
    return producer


# one transaction


def test_outputs_changelog_and_offset_appear_together(world: World) -> None:
    world.produce("in", b"1", b"2", b"3")
    mine = opened(world)
    mine.commit(Transaction([write(world.topic("out"))], [(b"a", b"1"), (b"b", None)], 2))
    assert world.values("out") == [b"out"]
    assert [(m.key(), m.value()) for m in world.read("log")] == [(b"a", b"1"), (b"b", None)]
    assert world.position() == 2


def test_a_transaction_without_offset_leaves_the_position_where_it_is(world: World) -> None:
    mine = opened(world)
    mine.commit(Transaction([], [], 5))
    mine.commit(Transaction([write(world.topic("out"))], [(b"a", b"1")]))
    assert (world.position(), world.values("out")) == (5, [b"out"])


def test_nothing_of_a_transaction_that_fails_half_way_is_seen_and_the_offset_stays(
    world: World,
) -> None:
    mine = opened(world)
    too_large = write(world.topic("out"), b"x" * (5 * 1024 * 1024))
    with pytest.raises(KafkaException) as raised:
        mine.commit(Transaction([write(world.topic("out")), too_large], [(b"a", b"1")], 9))
    assert raised.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    opened(world).commit(Transaction([write(world.topic("out"), b"next owner")], [], 1))
    assert (world.values("out"), world.values("log"), world.position()) == ([b"next owner"], [], 1)


def test_a_transaction_larger_than_the_producers_queue_waits_for_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"queue.buffering.max.kbytes": 1_024}
    monkeypatch.setattr(
        "streams.lanes.transactions.transactional_producer_config",
        lambda settings, name: transactional_producer_config(settings, name) | small,
    )
    values = [b"%06d" % n + b"x" * 100_000 for n in range(100)]
    opened(world).commit(Transaction([write(world.topic("out"), value) for value in values]))
    assert world.values("out") == values


def test_the_key_chooses_the_partition_as_java_clients_do(world: World) -> None:
    # the keys and hashes of UtilsTest in Apache Kafka
    wide = World(world.kafka, f"{world.name}-wide", partitions=3)
    wide.make("in", "log", "out", "receipts")
    keys = [
        b"21",
        b"foobar",
        b"a-little-bit-long-string",
        b"a-little-bit-longer-string",
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
    ]
    java = [-973932308, -790332482, -985981536, -1486304829, -58897971]
    opened(wide).commit(Transaction([write(wide.topic("out"), b"", key, -1) for key in keys]))
    partitions = {message.key(): message.partition() for message in wide.read("out", None)}
    assert partitions == {
        key: (hashed & 0x7FFFFFFF) % 3 for key, hashed in zip(keys, java, strict=True)
    }


# who owns it


def test_the_process_that_opens_a_partition_fences_its_former_owner(world: World) -> None:
    former = opened(world)
    former.commit(Transaction([write(world.topic("out"), b"1")], [], 1))
    later = opened(world)
    with pytest.raises(KafkaException) as raised:
        former.commit(Transaction([write(world.topic("out"), b"zombie")], [(b"z", b"z")], 7))
    assert is_fenced(raised.value)
    later.commit(Transaction([write(world.topic("out"), b"2")], [], 2))
    assert (world.values("out"), world.values("log"), world.position()) == ([b"1", b"2"], [], 2)


def test_lanes_of_other_partitions_are_not_fenced(world: World) -> None:
    first, _second = opened(world, 0), opened(world, 1)
    first.commit(Transaction([write(world.topic("out"))], [], 1))
    assert world.position() == 1


def test_the_group_of_an_unsubscribed_consumer_may_commit_while_the_group_lives(
    world: World,
) -> None:
    world.produce("in", b"1")
    member = Consumer(reader_config(world.kafka, world.group))
    try:
        member.subscribe([world.topic("in")])
        deadline = time.monotonic() + SECONDS
        while not member.assignment():
            assert time.monotonic() < deadline, "the group gets a member"
            member.poll(0.1)
        opened(world).commit(Transaction([], [], 1))
        assert world.position() == 1
    finally:
        member.close()


def test_opening_ends_what_a_former_owner_left_open(world: World) -> None:
    left = dangling(world, "out")
    opened(world).commit(Transaction([write(world.topic("out"), b"after")]))
    assert world.values("out") == [b"after"]
    assert world.values("out", committed=False) == [b"never committed", b"after"]
    del left


def test_fencing_an_id_lets_readers_continue_long_before_the_transaction_times_out(
    world: World,
) -> None:
    slow = msgspec.structs.replace(world.kafka, transaction_timeout_seconds=60.0)
    left = dangling(replace(world, kafka=slow), "out")
    world.produce("out", b"a neighbour's")
    assert world.values("out") == []
    began = time.monotonic()
    fence(world.kafka, world.identity().transactional_id)
    assert world.values("out") == [b"a neighbour's"]
    assert time.monotonic() - began < slow.transaction_timeout_seconds
    del left


def test_a_fence_gives_up_in_time_when_no_broker_answers() -> None:
    """A later fence would hit the next owner."""
    began = time.monotonic()
    with pytest.raises(KafkaException):
        fence(Kafka(bootstrap_servers="127.0.0.1:1"), "id", 0.5)
    assert time.monotonic() - began < 30


def test_a_partition_that_was_given_away_before_it_was_fenced_is_left_to_its_owner(
    world: World,
) -> None:
    owner = opened(world)
    late = world.transactions()
    late.abandon()
    with pytest.raises(Abandoned):
        late.open(KeptValues())
    owner.commit(Transaction([write(world.topic("out"))], [], 1))
    assert world.position() == 1


# what it begins with


def test_a_lane_loads_the_newest_of_every_key_of_its_own_partition(world: World) -> None:
    mine = opened(world)
    mine.commit(Transaction([], [(b"a", b"1"), (b"b", b"1")], 1))
    mine.commit(Transaction([], [(b"a", b"2"), (b"b", None), (b"c", b"1")], 2))
    opened(world, 1).commit(Transaction([], [(b"other", b"1")], 1))
    state = KeptValues()
    assert world.transactions().open(state) == 2
    assert dict(state.items()) == {b"a": b"2", b"c": b"1"}


def test_what_was_never_committed_is_not_loaded_and_does_not_hold_the_load_up(world: World) -> None:
    opened(world).commit(Transaction([], [(b"a", b"1")], 1))
    left = dangling(world, "log")
    state = KeptValues()
    assert world.transactions().open(state) == 1
    assert dict(state.items()) == {b"a": b"1"}
    del left


def test_a_large_changelog_is_loaded_whole(world: World) -> None:
    mine = opened(world)
    for part in range(5):
        mine.commit(
            Transaction([], [(b"%d-%d" % (part, n), b"x" * 100) for n in range(5_000)], part)
        )
    state = KeptValues()
    world.transactions().open(state)
    assert len(state) == 25_000


def test_an_empty_table_without_offset_begins_at_the_beginning(world: World) -> None:
    assert world.transactions().open(KeptValues()) is None


def test_a_table_with_contents_and_no_offset_is_never_read_from_zero(world: World) -> None:
    producer = Producer(
        transactional_producer_config(world.kafka, world.identity().transactional_id)
    )
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(world.topic("log"), b"1", b"a", 0)
    producer.commit_transaction(SECONDS)
    with pytest.raises(
        OffsetMissing,
        match=r"holds 1 records but group .*-sensorium-test has no committed offset .* Restore the offset, or delete",
    ):
        opened(world)


def test_an_error_about_the_offset_is_not_taken_for_no_offset(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT), None]

    class Answer:
        offset = -1001

        def __init__(self, error: KafkaError | None) -> None:
            self.error = error

    class Answering(Consumer):
        def committed(self, *_: object) -> list[Answer]:  # type: ignore[override]
            return [Answer(answers.pop(0))]

    monkeypatch.setattr("streams.lanes.transactions.Consumer", Answering)
    assert world.transactions().open(KeptValues()) is None
    assert answers == []


class Reading(Still):
    """Reads records and does nothing with them."""

    async def run(self, lane: Lane) -> None:
        while not lane.stopping:
            await lane.fetch()


async def test_an_offset_that_retention_took_stops_the_lane_and_says_so(world: World) -> None:
    world.produce("in", *[b"%d" % n for n in range(10)])
    opened(world).commit(Transaction([], [], 2))
    world.delete_records_before("in", 5)
    with pytest.raises(OffsetLost, match="does not hold offset 2"):
        await asyncio.wait_for(world.lane(Reading()).run(), SECONDS)


async def test_an_offset_beyond_the_end_stops_the_lane(world: World) -> None:
    opened(world).commit(Transaction([], [], 1_000))
    with pytest.raises(OffsetLost, match="does not hold offset 1000"):
        await asyncio.wait_for(world.lane(Reading()).run(), SECONDS)


async def test_a_source_topic_that_goes_away_stops_the_lane_instead_of_a_silent_standstill(
    world: World,
) -> None:
    async with at_work(world.lane(Reading())) as task:
        world.delete("in")
        done, _ = await asyncio.wait([task], timeout=90)
        assert done, "the lane stands still"
        error = task.exception()
    assert isinstance(error, KafkaException | OffsetLost), error


# what comes between records


class Source:
    """A consumer that returns what the test tells it to return."""

    def __init__(self, *given: object) -> None:
        self.given = list(given)

    def consume(self, count: int, _seconds: float) -> list[object]:
        taken, self.given = self.given[:count], self.given[count:]
        return taken

    def get_watermark_offsets(self, _partition: TopicPartition, *, cached: bool) -> tuple[int, int]:
        assert cached
        return 0, 9


class Given:
    def __init__(self, offset: int = 0, code: int | None = None) -> None:
        self._offset, self._error = offset, None if code is None else KafkaError(code)

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error


def reads_from(lane: Lane, world: World, *given: Given) -> None:
    lane.source = cast(Consumer, Source(*given))
    lane._contact = ConsumerContact(world.kafka, lane.source, world.topic("in"))


async def test_an_error_between_records_loses_none_of_those_behind_it(world: World) -> None:
    lane = world.lane(Still())
    reads_from(
        lane,
        world,
        Given(0),
        Given(1),
        Given(code=KafkaError._TRANSPORT),
        Given(2),
        Given(9, KafkaError._PARTITION_EOF),
        Given(3),
    )
    assert [message.offset() for message in await lane.fetch()] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    ],
)
async def test_an_error_that_does_not_pass_by_itself_ends_the_lane(world: World, code: int) -> None:
    lane = world.lane(Still())
    reads_from(lane, world, Given(code=code))
    with pytest.raises(KafkaException):
        await lane.fetch()


# lag


async def test_transaction_markers_are_not_counted_as_lag(world: World) -> None:
    class Committing(Still):
        async def run(self, lane: Lane) -> None:
            while not lane.stopping:
                if messages := await lane.fetch():
                    await lane.add([], [], lines(messages), (messages[-1].offset() or 0) + 1)

    producer = Producer(transactional_producer_config(world.kafka, f"{world.name}-upstream"))
    producer.init_transactions(SECONDS)
    for n in range(3):
        producer.begin_transaction()
        producer.produce(world.topic("in"), b"%d" % n, partition=0)
        producer.commit_transaction(SECONDS)
    lane = world.lane(Committing())
    async with at_work(lane):
        await until(lambda: lane.position == 5, "three records and two markers are behind it")
        await until(lambda: lane.lag() == 0, "nothing is left")


@pytest.mark.parametrize(
    ("settles", "position"), [(True, 2), (False, 0)], ids=["settled", "in hand"]
)
async def test_a_quiet_lane_can_begin_again_after_retention_took_everything(
    world: World, monkeypatch: pytest.MonkeyPatch, settles: bool, position: int
) -> None:
    monkeypatch.setattr(lane_module, "MARKERS_SECONDS", 0.0)
    looks: list[int] = []

    class Settling(Still):
        async def run(self, lane: Lane) -> None:
            while not lane.stopping:
                messages = await lane.fetch()
                looks.append(len(messages))
                if messages and settles:
                    await lane.add([], [], lines(messages), (messages[-1].offset() or 0) + 1)

    producer = Producer(transactional_producer_config(world.kafka, f"{world.name}-upstream"))
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(world.topic("in"), b"1", partition=0)
    producer.commit_transaction(SECONDS)
    lane = world.lane(Settling())
    async with at_work(lane):
        await until(lambda: 1 in looks and looks[-3:] == [0] * 3, "it is quiet")
        await until(lambda: lane.position == position, "what was not settled is not passed over")
    if settles:
        world.delete_records_before("in", 2)
        again = world.lane(Reading())
        async with at_work(again) as task:
            world.produce("in", b"2")
            await until(lambda: again._delivered == 3 or task.done(), "it reads on")
            assert not task.done()


@pytest.mark.parametrize(
    ("namespace", "transactional_id"),
    [
        ("", "sensorium-dedupe-raw-messages-3"),
        ("x", "x-sensorium-dedupe-raw-messages-3"),
        ("my-sensorium-x", "my-sensorium-x-sensorium-dedupe-raw-messages-3"),
    ],
)
def test_the_transactional_id_names_the_partition_and_the_namespace_once(
    namespace: str, transactional_id: str
) -> None:
    names = Names(namespace)
    group, source = names.group("dedupe"), names.topic("raw-messages")
    identity = LaneIdentity("dedupe", group, source, "log", "receipts", 3, frozenset(), names)
    assert identity.transactional_id == transactional_id
    assert identity.ledger.topic == "raw-messages"


async def test_a_lane_that_cannot_open_ends_with_what_hinders_it(world: World) -> None:
    class Broken(KeptValues):
        def load(self, batches: object) -> int:
            raise ValueError("a changelog nobody can read")

    with pytest.raises(ValueError, match="nobody can read"):
        async with at_work(world.lane(Still(), Broken())):
            pass


async def test_a_commit_that_does_not_come_back_ends_the_lane(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hangs(_: Transaction) -> float:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(SECONDS)
        return 0.0

    monkeypatch.setattr("streams.lanes.lane.STUCK_SECONDS", 0.2)
    lane = world.lane(Still())
    monkeypatch.setattr(lane._transactions, "commit", hangs)
    async with at_work(lane) as task:
        lane.add([write(world.topic("out"))], [], [])
        await asyncio.wait([task], timeout=SECONDS)
        assert isinstance(task.exception(), TimeoutError)
        release.set()


def test_reading_from_a_position_gives_that_record_first(world: World) -> None:
    world.produce("in", b"0", b"1", b"2")
    consumer = opened(world).source_consumer(1)
    try:
        assert consumer.assignment() == [TopicPartition(world.topic("in"), 0, 1)]
        deadline = time.monotonic() + SECONDS
        found: list[bytes | None] = []
        while len(found) < 2:
            assert time.monotonic() < deadline
            found += [
                message.value() for message in consumer.consume(10, 0.1) if message.error() is None
            ]
        assert found == [b"1", b"2"]
    finally:
        consumer.close()
