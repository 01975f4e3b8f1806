"""The effects of an assignment on lanes, on the real broker. The tests act for Faust."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition as AioTopicPartition
from confluent_kafka import Producer
from faust.types import TP
from lane_world import PACE, SECONDS, Still, World, open_gate, until, write

from schemas import metrics
from schemas.topics import Names
from storage.kafka.client import transactional_producer_config
from streams.lanes import app as lane_app_module
from streams.lanes.app import Lanes
from streams.lanes.state import KeptValues


class Faust:
    """The parts of the app that Lanes uses: names, signals, health, and a consumer to pause."""

    def __init__(self, world: World) -> None:
        self.paused: list[AioTopicPartition] = []
        consumer = SimpleNamespace(pause=lambda *tps: self.paused.extend(tps))
        self.consumer = SimpleNamespace(_thread=SimpleNamespace(_ensure_consumer=lambda: consumer))
        self.conf = SimpleNamespace(id=world.group)
        self.names = Names(world.name)
        self.source, self.kafka, self.stage = world.topic("in"), world.kafka, "dedupe"
        self.membership = SimpleNamespace(is_current=False, assigned=self.join)
        self.receipts, self.gate = world.topic("receipts"), open_gate()
        self.outputs = frozenset({world.topic("out"), self.receipts})
        self.is_alive, self.healthy = True, lambda: True
        self.counts = SimpleNamespace(trouble="")
        self.on_partitions_assigned = SimpleNamespace(connect=lambda handler: None)
        self.table: Any = SimpleNamespace(
            changelog_topic_name=world.topic("log"), partitions_held={}, new_state=KeptValues
        )

    def join(self) -> None:
        self.membership.is_current = True

    async def assign(self, lanes: Lanes, *partitions: int) -> None:
        topics = (self.source, self.table.changelog_topic_name)
        await lanes.on_assigned(self, {TP(topic, p) for topic in topics for p in partitions})  # type: ignore[arg-type]


@pytest.fixture
def faust(world: World) -> Faust:
    return Faust(world)


@pytest.fixture
async def lanes(faust: Faust) -> AsyncIterator[Lanes]:
    made = Lanes(faust, faust.table, Still(), PACE)  # type: ignore[arg-type]
    yield made
    tasks = list(made._tasks.values())
    await made.stop()
    assert all(task.done() for task in tasks)


async def test_an_assignment_pauses_what_lanes_read_opens_a_lane_a_partition_and_tells_the_ids(
    world: World, faust: Faust, lanes: Lanes
) -> None:
    told: list[list[str]] = []
    lanes.owned = told.append
    assert not lanes.ready
    await faust.assign(lanes, 0, 1)
    assert {(tp.topic, tp.partition) for tp in faust.paused} == {
        (world.topic(name), p) for name in ("in", "log") for p in (0, 1)
    }
    assert told == [[f"{world.group}-in-0", f"{world.group}-in-1"]]
    await until(lambda: lanes.ready, "both lanes are open")
    assert set(faust.table.partitions_held) == {0, 1}


async def test_a_kept_lane_is_left_alone_a_lost_one_ends_and_its_state_goes(
    faust: Faust, lanes: Lanes, deaths: list[str]
) -> None:
    await faust.assign(lanes, 0, 1)
    await until(lambda: lanes.ready, "both lanes are open")
    kept, lost = lanes.open[0], lanes.open[1]
    task = lanes._tasks[lost]
    await faust.assign(lanes, 0)
    assert (lanes.open, kept.stopping, kept.ready, set(faust.table.partitions_held)) == (
        {0: kept},
        False,
        True,
        {0},
    )
    await asyncio.wait([task], timeout=SECONDS)
    assert (task.done(), task.exception(), deaths) == (True, None, [])


async def test_a_partition_that_comes_back_gets_a_new_lane_with_a_new_state(
    world: World, faust: Faust, lanes: Lanes
) -> None:
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open")
    first = lanes.open[0]
    await first.add([write(world.topic("out"))], [(b"a", b"1")], [], 1)
    await faust.assign(lanes)
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open again")
    again = lanes.open[0]
    assert again is not first
    assert isinstance(again.state, KeptValues)
    assert (again.state is not first.state, again.state.get(b"a"), again.position) == (
        True,
        b"1",
        1,
    )


async def test_what_a_lost_lane_was_about_to_commit_is_committed_or_fenced_never_half(
    world: World, faust: Faust, lanes: Lanes, deaths: list[str]
) -> None:
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open")
    lanes.open[0].add([write(world.topic("out"))], [(b"a", b"1")], [], 1)
    await faust.assign(lanes)
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open again")
    seen = (world.values("out"), world.values("log"), world.position())
    assert seen in (([b"out"], [b"1"], 1), ([], [], -1001))
    assert lanes.open[0].position == max(0, world.position())
    assert deaths == []


def usurp(world: World) -> None:
    producer = Producer(
        transactional_producer_config(world.kafka, world.identity().transactional_id)
    )
    producer.init_transactions(SECONDS)


async def test_a_fenced_lane_waits_for_the_assignment_that_must_follow(
    world: World, faust: Faust, lanes: Lanes, deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_app_module, "FENCE_GRACE_SECONDS", 0.5)
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open")
    fenced = lanes.open[0]
    usurp(world)
    fenced.add([write(world.topic("out"))], [], [])
    await until(lambda: not lanes._tasks, "the lane ends")
    assert deaths == []
    await faust.assign(lanes)  # given away
    await asyncio.wait_for(
        asyncio.get_running_loop().run_in_executor(None, world.values, "out"), SECONDS
    )
    assert (deaths, world.values("out")) == ([], [])


async def test_a_fenced_lane_whose_partition_stays_ours_ends_the_process_after_a_grace(
    world: World, faust: Faust, lanes: Lanes, deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_app_module, "FENCE_GRACE_SECONDS", 0.2)
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open")
    usurp(world)
    lanes.open[0].add([write(world.topic("out"))], [], [])
    (death,) = await until(lambda: deaths, "the process ends")
    assert "another one has its transactional id" in death


async def test_a_fenced_lane_whose_partition_is_assigned_again_opens_again(
    world: World, faust: Faust, lanes: Lanes, deaths: list[str]
) -> None:
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open")
    usurp(world)
    lanes.open[0].add([write(world.topic("out"), b"fenced")], [], [])
    await until(lambda: not lanes._tasks, "the lane ends")
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open again")
    await lanes.open[0].add([write(world.topic("out"), b"ours")], [], [])
    assert (world.values("out"), deaths) == ([b"ours"], [])


async def test_any_other_trouble_of_a_lane_ends_the_process_with_its_reason(
    world: World, faust: Faust, lanes: Lanes, deaths: list[str]
) -> None:
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open")
    lanes.open[0].add([write(world.topic("out"), b"x" * (5 * 1024 * 1024))], [], [])
    (death,) = await until(lambda: deaths, "the process ends")
    assert "MSG_SIZE_TOO_LARGE" in death
    assert not lanes.ready


async def test_the_trouble_of_a_lane_that_was_given_away_ends_nothing(
    world: World, faust: Faust, lanes: Lanes, deaths: list[str]
) -> None:
    await faust.assign(lanes, 0)
    await until(lambda: lanes.ready, "the lane is open")
    lanes.open[0].add([write(world.topic("out"), b"x" * (5 * 1024 * 1024))], [], [])
    await faust.assign(lanes)
    await until(lambda: not lanes._tasks, "the lane ends")
    assert deaths == []


async def test_a_partition_that_is_taken_away_while_it_opens_is_let_go(
    faust: Faust, lanes: Lanes, deaths: list[str]
) -> None:
    await faust.assign(lanes, 0, 1)
    await faust.assign(lanes)
    await until(lambda: not lanes._tasks, "both lanes end")
    assert (lanes.open, faust.table.partitions_held, deaths) == ({}, {}, [])


async def test_gauges_can_be_read_whatever_the_lanes_do(faust: Faust, lanes: Lanes) -> None:
    lanes.refresh_metrics()
    await faust.assign(lanes, 0, 1)
    lanes.refresh_metrics()
    await until(lambda: lanes.ready, "both lanes are open")
    lanes.refresh_metrics()


def lags(faust: Faust) -> set[str]:
    """The partitions whose lag this process reports."""
    (family,) = metrics.STAGE_LAG.collect()
    return {one.labels["partition"] for one in family.samples if one.labels["stage"] == faust.stage}


async def test_the_lag_of_a_partition_that_moved_away_is_told_no_more(
    faust: Faust, lanes: Lanes
) -> None:
    await faust.assign(lanes, 0, 1)
    await until(lambda: lanes.ready, "both lanes are open")
    for lane in lanes.open.values():
        lane._high = 3  # as the first fetch would tell
    lanes.refresh_metrics()
    assert lags(faust) == {"0", "1"}
    await faust.assign(lanes, 0)
    lanes.refresh_metrics()
    assert lags(faust) == {"0"}
