"""Partitions that wait for a reason of their own.

Such reasons are records of a newer program, lost offsets, and partition counts that
were changed in place.
"""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from lane_world import SECONDS, World, app_at_work, until
from test_seams import raw as topics_of
from test_seams import staged
from test_stages import Nowhere, admit, described, headers_of, job, said

from schemas.codec import decode, encode
from schemas.records import EnrichedMessage, VisionJob
from schemas.settings import Kafka, Settings
from schemas.topics import Names
from schemas.versions import STATE_VERSION
from storage.kafka.client import client_config
from streams.apps import dedupe as dedupe_app
from streams.apps.jobs import JobStage, StageAttempt, job_app
from streams.lanes import app as lane_app_module
from streams.lanes import counts as counts_module
from streams.lanes import jobs as lane_jobs
from streams.lanes.app import Lanes
from streams.lanes.readiness import status
from tests.unit.newer import by_the_next_release, next_release
from tests.unit.records import raw, vision_job


@pytest.fixture
def here(stack: Settings, pipeline_topics: Names) -> Settings:
    return msgspec.structs.replace(stack, namespace=pipeline_topics.namespace)


@pytest.fixture
def topics(here: Settings) -> World:
    return World(here.kafka, here.namespace, here.kafka.partitions)


async def answer(turn: StageAttempt[VisionJob]) -> Any:
    return described(turn)


def describing(here: Settings) -> Any:
    return job_app(here, JobStage("describe", VisionJob, answer, Nowhere()))


def message(provider_id: str) -> Any:
    body = {
        "provider": "ycloud",
        "provider_message_id": provider_id,
        "conversation_id": "1~2",
        "sender": {"id": "2"},
        "text": provider_id,
    }
    return raw(provider_id=provider_id, content=json.dumps(body).encode(), endpoint_id="")


def reasons(lanes: Lanes) -> dict[int, str]:
    return {partition: why.reason for partition, why in lanes.parked.items()}


def texts(topics: World) -> list[str | None]:
    found = [decode(EnrichedMessage, m.value()) for m in topics.read("enriched-messages", None)]
    return sorted(one.content or "" for one in found)


# a schema of the next release


async def test_a_batch_stage_holds_the_partition_of_a_newer_record_and_the_others_continue(
    here: Settings, topics: World, deaths: list[str]
) -> None:
    def arrives(value: bytes, partition: int) -> None:
        key = decode_key(value)
        topics.produce("raw-messages", value, key=key, partition=partition, headers=headers_of())

    def decode_key(value: bytes) -> bytes:
        with next_release("RawMessage"):
            return decode(type(message("x")), value).message_key.encode()

    app = dedupe_app.create_app(here)
    async with app_at_work(app) as lanes:
        arrives(encode(message("before")), 0)
        arrives(by_the_next_release(message("newer")), 0)
        arrives(encode(message("behind")), 0)
        arrives(encode(message("other")), 1)
        await until(lambda: reasons(lanes) == {0: "version_unknown"}, "it is held")
        await until(lambda: texts(topics) == ["before", "other"], "all else goes on")
        arrives(encode(message("another")), 1)
        await until(lambda: "another" in texts(topics), "the other partition still goes on")
        assert not lanes.ready
        (shown,) = status(app, lanes)["parked"]
        assert (shown["partition"], "schema id 9001" in shown["detail"]) == (0, True)
    assert topics.position_of("raw-messages", 0) == 1
    with next_release("RawMessage"):
        async with app_at_work(dedupe_app.create_app(here)):
            await until(
                lambda: texts(topics) == ["another", "before", "behind", "newer", "other"],
                "the upgraded program reads all, each once",
            )
    assert (topics.read("quarantine", None), deaths) == ([], [])


async def test_a_job_stage_holds_its_intake_at_a_newer_job_and_continues_with_what_it_has(
    here: Settings, topics: World, deaths: list[str]
) -> None:
    key, value = job(1)
    newer = by_the_next_release(decode(VisionJob, job(2)[1]))
    app = describing(here)
    async with app_at_work(app) as lanes:
        for body in (value, newer, value):
            topics.produce("vision", body, key=key, partition=0, headers=headers_of())
        topics.produce("vision", value, key=key, partition=1, headers=headers_of())
        await until(lambda: len(said(topics)) == 2, "what stands before it, and beside it, is done")
        assert (reasons(lanes), lanes.ready) == ({0: "version_unknown"}, False)
    with next_release("VisionJob"):
        async with app_at_work(describing(here)) as lanes:
            await until(lambda: len(said(topics)) == 4, "the upgraded program does the rest")
            assert lanes.ready
    assert (topics.read("quarantine", None), deaths) == ([], [])


async def test_a_job_that_a_newer_program_admitted_waits_for_the_next_upgrade(
    here: Settings, topics: World, deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a rollback the entry is there, but its body cannot be read."""
    monkeypatch.setattr(lane_jobs, "HELD_SECONDS", 1.0)
    admitted = asyncio.Event()

    async def hangs(turn: StageAttempt[VisionJob]) -> Any:
        admitted.set()
        await asyncio.Event().wait()

    key, _ = job(1)
    newer = by_the_next_release(vision_job())
    with next_release("VisionJob"):
        app = job_app(here, JobStage("describe", VisionJob, hangs, Nowhere()))
        async with app_at_work(app):
            topics.produce("vision", newer, key=key, partition=0, headers=headers_of())
            await asyncio.wait_for(admitted.wait(), SECONDS)
    app = describing(here)
    app.finalize()
    await app.start()  # it is never ready
    try:
        await until(lambda: reasons(app.lanes) == {0: "version_unknown"}, "it says so")
        admit(topics, *(job(n) for n in range(20)))
        await until(lambda: len(said(topics)) == 20, "all other jobs go on")
    finally:
        await app.stop()
    assert topics.read("quarantine", None) == []
    with next_release("VisionJob"):
        async with app_at_work(describing(here)):
            await until(lambda: len(said(topics)) == 21, "it is done", 100)
    assert (topics.read("quarantine", None), deaths) == ([], [])


async def test_state_of_a_newer_version_parks_its_partition_until_the_upgrade(
    here: Settings, topics: World, deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_app_module, "PARKED_SECONDS", 0.5)
    key, value = job(1)
    async with app_at_work(describing(here)):
        topics.produce("vision", value, key=key, partition=0, headers=headers_of())
        await until(lambda: said(topics), "the partition has a position")
    changelog = "sensorium-describe-jobs-changelog"
    newer = bytes((STATE_VERSION + 1,)) + b"whatever"
    topics.produce(changelog, newer, key=bytes(8), partition=0)
    again = describing(here)
    again.finalize()
    lanes: Any = again.lanes
    await again.start()
    try:
        await until(lambda: reasons(lanes) == {0: "version_unknown"}, "the partition is parked")
        for partition in (0, 1):
            topics.produce("vision", value, key=key, partition=partition, headers=headers_of())
        await until(lambda: len(said(topics)) == 2, "the others go on")
        topics.tombstone(changelog, bytes(8), 0)  # as the upgraded program would finish it
        await until(lambda: not lanes.parked and lanes.ready, "it is tried again")
        await until(lambda: len(said(topics)) == 3, "and goes on")
    finally:
        await again.stop()
    assert deaths == []


# offsets


async def test_a_partition_whose_offset_is_not_in_the_log_is_parked_and_the_others_continue(
    stack: Settings, pipeline_topics: Names, deaths: list[str]
) -> None:
    kafka, names = stack.kafka, pipeline_topics
    topics = topics_of(kafka, names)
    app, *_ = staged(kafka, names)
    async with app_at_work(app):
        topics.produce("raw-messages", b"1", key=b"a")
        await until(lambda: topics.read("sensorium-dedupe-kept-changelog"), "it is read")
    topics.produce("raw-messages", b"2", b"3", key=b"a")
    topics.delete_records_before("raw-messages", 3)
    again, *_ = staged(kafka, names)
    again.finalize()
    lanes: Any = again.lanes
    await again.start()
    try:
        await until(lambda: reasons(lanes) == {0: "offset_lost"}, "it is parked")
        topics.produce("raw-messages", b"1", key=b"b", partition=1)
        await until(lambda: topics.read("sensorium-dedupe-kept-changelog", 1), "the other goes on")
        assert not lanes.ready
        assert "offset_lost" in status(again, lanes)["troubles"][-1]
    finally:
        await again.stop()
    assert deaths == []


# partition counts


def more_partitions(kafka: Kafka, topic: str, count: int) -> None:
    admin = AdminClient(client_config(kafka))
    for future in admin.create_partitions([NewPartitions(topic, count)]).values():
        future.result(30)


async def test_partitions_that_were_added_to_the_source_are_parked_and_the_others_continue(
    stack: Settings, pipeline_topics: Names, deaths: list[str]
) -> None:
    kafka, names = stack.kafka, pipeline_topics
    topics = topics_of(kafka, names)
    more_partitions(kafka, names.topic("raw-messages"), kafka.partitions + 1)
    app, *_ = staged(kafka, names)
    app.finalize()
    lanes: Any = app.lanes
    await app.start()
    try:
        await until(lambda: reasons(lanes) == {kafka.partitions: "partition_count"}, "it is parked")
        topics.produce("raw-messages", b"1", key=b"a")
        await until(lambda: topics.read("sensorium-dedupe-kept-changelog"), "the others go on")
        assert not lanes.ready
    finally:
        await app.stop()
    assert deaths == []


async def test_nothing_is_committed_while_a_topic_that_is_written_has_another_count(
    stack: Settings, pipeline_topics: Names, deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts_module, "LOOK_SECONDS", 0.2)
    kafka, names = stack.kafka, pipeline_topics
    topics = topics_of(kafka, names)
    app, _, seen = staged(kafka, names)
    async with app_at_work(app) as lanes:
        topics.produce("raw-messages", b"1", key=b"a")
        await until(lambda: topics.read("sensorium-dedupe-kept-changelog"), "it works")
        more_partitions(kafka, names.topic("media"), kafka.partitions + 1)
        await until(lambda: not lanes.ready, "it sees that")
        (why,) = status(app, lanes)["troubles"]
        assert f"media has {kafka.partitions + 1} partitions" in why
        before = len(seen)
        topics.produce("raw-messages", b"2", key=b"a")
        await until(lambda: len(seen) > before, "it is decided")
        await asyncio.sleep(1.0)
        assert len(topics.read("sensorium-dedupe-kept-changelog")) == 1
    assert (topics.position_of("raw-messages", 0), deaths) == (1, [])
