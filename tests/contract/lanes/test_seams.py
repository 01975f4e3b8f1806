"""Tests of all internals of Faust and aiokafka on which lanes rely (decision 0001)."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from confluent_kafka import Producer
from faust.types import TP
from lane_world import SECONDS, FakeRecord, World, app_at_work, lines, until
from mode import Service

from schemas.settings import Kafka, Settings, WorkerSettings
from schemas.topics import Names
from storage.kafka.client import transactional_producer_config
from streams.lanes import membership as membership_module
from streams.lanes.app import LaneApp, Lanes, lane_app
from streams.lanes.batches import Batch
from streams.lanes.channel import LaneChannel
from streams.lanes.in_flight import InFlightRecord
from streams.lanes.state import KeptValues
from streams.lanes.table import LaneTable


def staged(
    kafka: Kafka, names: Names, worker: str = ""
) -> tuple[LaneApp, LaneTable[KeptValues], list[Batch[KeptValues]]]:
    """A stage that puts every record of raw-messages into its table."""
    app = lane_app(
        "dedupe",
        Settings(namespace=names.namespace, kafka=kafka, worker=WorkerSettings(name=worker)),
    )
    table = app.lane_table(
        "kept",
        partitions=kafka.partitions,
        new_state=KeptValues,
        extra_topic_configs={"cleanup.policy": "compact"},
    )
    channel = app.batch_lanes(table)
    seen: list[Batch[KeptValues]] = []

    @app.agent(channel, name="keeping")
    async def keep(stream: Any) -> None:
        async for batch in stream:
            seen.append(batch)
            if batch.current:
                batch.settle(
                    [],
                    [batch.state.put(m.key() or b"", m.value()) for m in batch.messages],
                    lines(batch.messages),
                )
            else:
                batch.discard()

    return app, table, seen


def raw(kafka: Kafka, names: Names) -> World:
    """The stage's topics as a World whose source is `raw-messages`."""
    return World(kafka, names.prefix.removesuffix("-"), kafka.partitions)


def offline() -> tuple[LaneApp, LaneTable[KeptValues], list[Batch[KeptValues]]]:
    return staged(Kafka(bootstrap_servers="127.0.0.1:1"), Names())


# without a broker


async def test_a_table_is_ours_and_faust_writes_nothing_to_its_changelog_s1() -> None:
    app, table, _ = offline()
    assert isinstance(table, LaneTable)
    assert table.changelog_topic_name == "sensorium-dedupe-kept-changelog"
    state = table.partitions_held[0] = table.new_state()
    assert state.put(b"k", b"v") == (b"k", b"v")
    assert (len(table.data), app._producer) == (0, None)


async def test_a_rebalance_clears_faust_queues_but_not_a_lanes_s3() -> None:
    app, *_ = offline()
    stock, ours = app.channel(), LaneChannel(app, maxsize=0)
    for channel in (stock, ours):
        channel.queue.put_nowait("handed out")
    app.flow_control.suspend()
    app.flow_control.clear()
    app.flow_control.resume()
    assert (stock.queue.empty(), ours.queue.empty()) == (True, False)
    assert await asyncio.wait_for(ours.queue.get(), SECONDS) == "handed out"


async def test_an_agent_reads_a_clone_of_its_channel_and_that_is_where_items_go() -> None:
    app, *_ = offline()
    app.flow_control.resume()
    channel = LaneChannel(app, maxsize=0)
    stream = app.stream(channel)
    async with stream:
        channel.hand_out("item")
        assert channel.queue.empty()
        assert await asyncio.wait_for(stream.channel.queue.get(), SECONDS) == "item"


async def test_an_agent_of_lanes_can_be_tried_without_a_broker() -> None:
    app, _, seen = offline()
    app.finalize()
    app.flow_control.resume()
    (agent,) = (agent for agent in app.agents.values() if agent.name.endswith("keeping"))
    lane: Any = SimpleNamespace(stopping=False, partition=0)
    async with agent.test_context() as tried:
        for stopping in (False, True):
            lane.stopping = stopping
            batch: Batch[KeptValues] = Batch(
                lane, KeptValues(), [FakeRecord(b"k", b"1")], InFlightRecord()
            )  # type: ignore[list-item]
            await tried.channel.put(batch)
            assert await asyncio.wait_for(batch.decided(), SECONDS) is not stopping
            assert batch.changelog == ([] if stopping else [(b"k", b"1")])
    assert len(seen) == 2


PASSES = """
import asyncio, faust
from schemas.settings import Kafka, Settings
from streams.lanes.app import lane_app
from streams.lanes.channel import LaneChannel

async def main():
    app = lane_app("dedupe", Settings(kafka=Kafka(bootstrap_servers="127.0.0.1:1")))
    app.flow_control.resume()
    channel = LaneChannel(app, maxsize=0)
    stream = app.stream(channel)
    async with stream:
        item = object()
        channel.hand_out(item)
        async for value in stream:
            assert value is item and stream.current_event is None, (value, stream.current_event)
            break
    print("passed", faust.streams._CStreamIterator is not None)

asyncio.run(main())
"""


@pytest.mark.parametrize("without_cython", ["", "1"])
def test_what_is_not_an_event_passes_a_stream_unchanged_and_is_never_acknowledged(
    without_cython: str,
) -> None:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("SENSORIUM_")
    } | {"NO_CYTHON": without_cython}
    done = subprocess.run(
        [sys.executable, "-c", PASSES], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.split()[:1]) == (0, ["passed"]), done.stderr
    if without_cython:
        assert done.stdout.split()[1] == "False"


@pytest.mark.parametrize(
    ("ours", "base"), [(LaneTable, faust.Table), (LaneChannel, faust.Channel), (LaneApp, faust.App)]
)
def test_nothing_of_a_service_is_shadowed(ours: type, base: type) -> None:
    meant = {
        LaneTable: {"info"},
        LaneChannel: {"queue"},
        LaneApp: {"on_first_start", "on_start", "on_stop"},
    }[ours]
    own = {name for name in vars(ours) if not name.startswith("__")} - {
        "_abc_impl",
        "logger",
    }  # every Service has its own
    assert own & (set(dir(base)) | set(dir(Service))) <= meant


async def test_no_attribute_of_an_instance_shadows_one_of_faust() -> None:
    app, table, _ = offline()
    bare_app = faust.App("bare", broker="kafka://127.0.0.1:1", store="memory://")
    bare_table = bare_app.Table("bare", partitions=1)
    for ours, bare, meant in (
        (
            app,
            bare_app,
            {"stage", "kafka", "source", "receipts", "lanes", "gate", "opening", "closing"}
            | {"healthy", "in_flight", "membership", "counts", "outputs", "names"},
        ),
        (table, bare_table, {"new_state", "partitions_held", "__orig_class__"}),
    ):
        assert set(vars(ours)) - set(vars(bare)) - {
            n for n in vars(ours) if n.startswith("_")
        } <= meant | set(dir(type(bare)))
        assert not meant & set(dir(bare))


def test_faust_is_told_not_to_wonder_about_paused_partitions_s8() -> None:
    app, *_ = offline()
    assert (
        app.conf.stream_processing_timeout,
        app.conf.stream_recovery_delay,
        app.conf.table_standby_replicas,
    ) == (1e9, 0.0, 0)


async def test_faust_makes_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await faust.App("stock", store="memory://").on_first_start()
    assert [path.name for path in tmp_path.iterdir()] == ["stock-data"]
    app, *_ = offline()
    await app.on_first_start()
    assert [path.name for path in tmp_path.iterdir()] == ["stock-data"]


# with a broker


async def test_a_transactional_changelog_does_not_hold_faust_up_s2(
    stack: Settings, pipeline_topics: Names, deaths: list[str]
) -> None:
    kafka, names = stack.kafka, pipeline_topics
    topics = raw(kafka, names)
    app, table, _ = staged(kafka, names)
    async with app_at_work(app):
        topics.produce("raw-messages", b"1", b"2", key=b"a")
        topics.produce("raw-messages", b"1", key=b"b")
        await until(
            lambda: len(topics.read("sensorium-dedupe-kept-changelog")) == 3,
            "three changelog records",
        )
    again, table, _ = staged(kafka, names)
    async with app_at_work(again):
        assert again.tables.recovery.active_tps == set()
        assert dict(table.partitions_held[0].items()) == {b"a": b"2", b"b": b"1"}
    assert deaths == []


async def test_an_assignment_is_complete_comes_once_and_pauses_what_lanes_read_s4_s5_s6(
    stack: Settings, pipeline_topics: Names, deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka, names = stack.kafka, pipeline_topics
    topics = raw(kafka, names)
    told: list[set[TP]] = []
    assigned = Lanes.on_assigned

    async def noting(self: Lanes, app: Any, assigned_now: set[TP], **fields: Any) -> None:
        told.append(set(assigned_now))
        await assigned(self, app, assigned_now, **fields)

    monkeypatch.setattr(Lanes, "on_assigned", noting)
    app, _, seen = staged(kafka, names)
    async with app_at_work(app):
        (first,) = told
        assert {tp for tp in first if tp.topic == app.source} == {
            TP(app.source, p) for p in range(kafka.partitions)
        }
        consumer: Any = app.consumer
        fetcher = consumer._thread._ensure_consumer()
        paused = {(tp.topic, tp.partition) for tp in fetcher.paused()}
        assert paused >= {
            (topic, p)
            for topic in (app.source, f"{names.prefix}sensorium-dedupe-kept-changelog")
            for p in range(kafka.partitions)
        }
        for partition in range(kafka.partitions):
            topics.produce("raw-messages", *[b"x" * 1_000] * 500, partition=partition)
        await until(
            lambda: sum(len(batch.messages) for batch in seen) == 500 * kafka.partitions,
            "lanes read all",
        )
        assert fetcher._fetcher._records == {}

        other, *_ = staged(kafka, names)
        async with app_at_work(other):
            await until(lambda: len(told) >= 3, "both are told of the rebalance")
            assert app.lanes is not None and other.lanes is not None
            await until(
                lambda: (
                    app.lanes.assigned
                    and other.lanes.assigned
                    and not app.lanes.assigned & other.lanes.assigned
                ),
                "each has its own",
            )
            assert app.lanes.assigned | other.lanes.assigned == set(range(kafka.partitions))
    assert deaths == []


async def test_kept_lanes_continue_through_a_rebalance(
    stack: Settings, pipeline_topics: Names, deaths: list[str]
) -> None:
    kafka, names = stack.kafka, pipeline_topics
    topics = raw(kafka, names)
    app, _, _ = staged(kafka, names)
    async with app_at_work(app) as lanes:
        before = dict(lanes.open)
        other, *_ = staged(kafka, names)
        async with app_at_work(other) as others:
            await until(
                lambda: others.assigned and not lanes.assigned & others.assigned,
                "the partitions are shared out",
            )
            assert lanes.assigned
            assert all(
                lanes.open[p] is before[p] and not before[p].stopping for p in lanes.assigned
            )
            await until(lambda: lanes.ready and others.ready, "moved lanes are open")
            for partition in range(kafka.partitions):
                topics.produce("raw-messages", b"after", partition=partition)
            logged = "sensorium-dedupe-kept-changelog"
            await until(
                lambda: len(topics.read(logged, None)) == kafka.partitions,
                "each partition is worked on by its owner",
            )
    assert deaths == []


async def test_a_worker_whose_group_coordination_ended_ends(
    stack: Settings, pipeline_topics: Names, deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: GroupCoordinator) -> None:
        raise AssertionError("Did we not perform bootstrap?")

    app, *_ = staged(stack.kafka, pipeline_topics)
    async with app_at_work(app):
        task = app.membership.coordination_task()
        assert task is not None and not task.done()
        monkeypatch.setattr(GroupCoordinator, "ensure_coordinator_known", fails)
        consumer: Any = app.consumer
        consumer._thread._ensure_consumer()._coordinator.request_rejoin()
        await until(lambda: deaths, "the worker ends")
    assert set(deaths) == {"the coordination of the consumer group has ended"}


async def test_a_worker_that_is_given_no_assignment_ends(
    stack: Settings, pipeline_topics: Names, deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership_module, "JOIN_SECONDS", 0.0)
    app, *_ = staged(stack.kafka, pipeline_topics)
    app.finalize()
    await app.start()
    await until(lambda: deaths, "the worker ends")
    await app.stop()
    assert deaths[0] == "the group gave this worker no assignment within 0 s"


async def test_stopping_commits_what_is_in_hand_before_it_leaves_the_group_s7(
    stack: Settings, pipeline_topics: Names, deaths: list[str]
) -> None:
    kafka, names = stack.kafka, pipeline_topics
    topics = raw(kafka, names)
    app, _, seen = staged(kafka, names)
    async with app_at_work(app) as lanes:
        topics.produce("raw-messages", *[b"x"] * 50)
        await until(lambda: seen, "a batch is in hand")
        ready = lanes.ready
    assert ready
    handed = sum(len(batch.messages) for batch in seen)
    assert len(topics.read("sensorium-dedupe-kept-changelog")) == handed
    assert not lanes._tasks
    assert deaths == []


async def test_a_worker_name_makes_the_member_static_so_that_a_restart_causes_no_rebalance(
    stack: Settings, pipeline_topics: Names
) -> None:
    app, *_ = staged(stack.kafka, pipeline_topics, "w1")
    begins = f"{pipeline_topics.group('dedupe')}-w1-"
    assert str(app.conf.consumer_group_instance_id).startswith(begins)
    assert staged(stack.kafka, pipeline_topics)[0].conf.consumer_group_instance_id is None


async def test_stock_faust_would_wait_for_ever_where_lanes_do_not(
    stack: Settings, pipeline_topics: Names
) -> None:
    # the last offset of a transactional changelog is a marker: recovery would wait for a record there
    topics = raw(stack.kafka, pipeline_topics)
    topics.make("marked")
    producer = Producer(transactional_producer_config(stack.kafka, topics.group))
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(topics.topic("marked"), b"1", partition=0)
    producer.commit_transaction(SECONDS)
    (record,) = topics.read("marked")
    end = topics.end("marked")
    assert (record.offset(), end) == (0, 2)
