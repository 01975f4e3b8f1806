"""The backlog, read from Kafka and Postgres while no stage runs."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.codec import pinned_schemas
from schemas.pipeline import STAGES, TopicName
from schemas.settings import Postgres, Secret
from schemas.topics import changelog_of
from schemas.versions import STATE_VERSION
from storage.kafka.client import plain_producer_config, reader_config
from storage.postgres.job_attempts import JobAttempt, JobPlace
from streams.audit.backlog import Backlogs
from streams.commands import stage_checks
from streams.lanes.entries import Entry
from streams.lanes.job_entries import JobEntries
from tests.integration.commands import Commands
from tests.integration.test_commands_overview import noted
from tests.topics import make_topic


def produce(commands: Commands, topic: str, *records: tuple[bytes, Any, str | None]) -> None:
    """Produces key, value and tenant of each record into partition 0."""
    producer = Producer(plain_producer_config(commands.settings.kafka))
    for key, value, tenant in records:
        headers = [("tenant", tenant.encode())] if tenant else []
        producer.produce(topic, value, key, 0, headers=headers)  # type: ignore[arg-type]
    assert producer.flush(30) == 0


def unread(commands: Commands, topic: TopicName, *tenants: str) -> None:
    produce(commands, commands.names.topic(topic), *((b"k", b"v", name) for name in tenants))


def jobs(commands: Commands, *entries: Entry, ended: int = 0) -> None:
    """Writes jobs to the changelog of describe. The first `ended` of them are finished."""
    topic = changelog_of(commands.names, "describe")
    kafka = commands.settings.kafka
    make_topic(kafka, topic, kafka.partitions)
    state = JobEntries()
    written = [state.put(offset, entry) for offset, entry in enumerate(entries)]
    written += [state.remove(offset) for offset in range(ended)]  # type: ignore[misc]
    produce(commands, topic, *((key, value, None) for key, value in written))


@pytest.fixture
def ready(commands: Commands) -> Commands:
    commands.json("tenants", "add", "acme")
    return commands


def test_what_waits_is_listed_by_stage_and_tenant_with_age_and_cause(ready: Commands) -> None:
    assert ready.json("queue") == {"waiting": []}
    began = time.time() - 90
    unread(ready, "raw-messages", "acme", "acme", "other")
    unread(ready, "enriched-messages", "acme")
    jobs(
        ready,
        Entry("acme", b"k", [], b"v", began),
        Entry("acme", b"k", [], b"v", began, 3, began, began + 120),
        Entry("other", b"k", [], b"v", began + 60),
        ended=1,
    )
    now = datetime.now(UTC)
    words = "model_rejected_key: 401 invalid_api_key"
    place = JobPlace("acme", "acme:ycloud:1", 0, "describe")
    noted(ready, JobAttempt(place, 0, 3, "model_rejected_key", words, now, now, now))
    rows = ready.json("queue")["waiting"]
    assert {
        (row["stage"], row["tenant_id"], row["unread"], row["jobs"], row["tried"], row["cause"])
        for row in rows
    } == {
        ("dedupe", "acme", 2, 0, 0, None),
        ("dedupe", "other", 1, 0, 0, None),
        ("describe", "acme", 0, 1, 1, "model_rejected_key"),
        ("describe", "other", 0, 1, 0, None),
        ("sink", "acme", 1, 0, 0, None),
    }
    assert rows[0]["stage"] == "describe" and rows[0]["oldest_seconds"] >= 90
    assert datetime.fromisoformat(rows[0]["next_try_at"]).timestamp() == pytest.approx(began + 120)
    of_acme = ready.json("queue", "--tenant", "acme", "--stage", "describe")["waiting"]
    assert [(row["stage"], row["tenant_id"]) for row in of_acme] == [("describe", "acme")]
    text = ready.run("queue").stdout
    assert "1 job, 1 tried" in text and "401 invalid_api_key" in text
    assert "there is no tenant" in ready.fails("queue", "--tenant", "nobody")


def test_beyond_what_is_read_only_the_number_is_known(ready: Commands) -> None:
    unread(ready, "raw-messages", *["acme"] * 5)
    found = Backlogs(ready.settings, most_read=2).of_stage("dedupe")
    assert {tenant: waits.unread for tenant, waits in found.tenants.items()} == {
        "acme": 2,
        "(not read)": 3,
    }


def test_doctor_sees_that_no_worker_runs_and_what_waits_for_one(
    ready: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_checks, "LOOK_SECONDS", 0.0)
    unread(ready, "raw-messages", "acme")
    document = ready.json("doctor", exit_code=1)
    found = {part["part"]: part for part in document["parts"]}
    for stage in ("dedupe", "store_media", "describe", "transcribe", "assemble", "sink"):
        assert not found[stage]["ok"] and "no worker runs" in found[stage]["says"]
    assert "1 unread record wait: is `sensorium stream dedupe` up" in found["dedupe"]["says"]


def test_doctor_looks_at_the_stages_whatever_is_wrong_with_postgres(
    ready: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_checks, "LOOK_SECONDS", 0.0)
    ready.database(
        lambda connection: connection.execute(
            "INSERT INTO stage_stops (stage, detail) VALUES ('dedupe', 'too much')"
        )
    )
    parts = {part["part"]: part for part in ready.json("doctor", exit_code=1)["parts"]}
    assert "dedupe stopped itself" in parts["postgres"]["says"]
    assert "no worker runs" in parts["dedupe"]["says"] and "sink" in parts
    away = msgspec.structs.replace(
        ready.settings, postgres=Postgres(dsn=Secret("postgresql://x@127.0.0.1:1/x"))
    )
    document = Commands(away, {}).json("doctor", exit_code=1)
    names = [part["part"] for part in document["parts"]]
    assert "dedupe" in names and "sink" not in names


@pytest.fixture
def at_work(ready: Commands, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Pretends that every stage has workers, and that each record is old enough to have been read."""
    monkeypatch.setattr(stage_checks, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(stage_checks, "SLOW_SECONDS", -60.0)
    monkeypatch.setattr(stage_checks, "_workers", lambda _: dict.fromkeys((*STAGES, "sink"), 1))
    return ready


def parts_of(commands: Commands) -> dict[str, Any]:
    document = commands.json("doctor", exit_code=1)
    return {part["part"]: part for part in document["parts"]}


def stand(commands: Commands, stage: str, topic: TopicName, offset: int) -> None:
    consumer = Consumer(reader_config(commands.settings.kafka, commands.names.group(stage)))
    place = TopicPartition(commands.names.topic(topic), 0, offset)
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()


def test_doctor_names_the_partitions_with_a_newer_record_or_state_and_shows_the_other_stages(
    at_work: Commands,
) -> None:
    newer = bytes([0]) + (max(pinned_schemas()) + 1).to_bytes(4, "big") + b"..."
    produce(at_work, at_work.names.topic("media"), (b"k", newer, "acme"))
    produce(at_work, at_work.names.topic("enriched-messages"), (b"k", newer, "acme"))
    stand(at_work, "describe", "vision", 0)
    topic = changelog_of(at_work.names, "describe")
    make_topic(at_work.settings.kafka, topic, at_work.settings.kafka.partitions)
    produce(at_work, topic, (b"0", bytes([STATE_VERSION + 1]) + b"...", None))
    found = parts_of(at_work)
    for stage, place in (("store_media", "media[0]"), ("sink", "enriched-messages[0]")):
        assert f"partition {place} is parked (version_unknown: offset 0: " in found[stage]["says"]
        assert "upgrade this role" in found[stage]["says"]
        assert "makes no progress" not in found[stage]["says"]
    says = found["describe"]["says"]
    assert "partition vision[0] is parked (version_unknown: a job in its table: Entry has" in says
    assert [found[stage]["ok"] for stage in ("dedupe", "transcribe", "assemble")] == [True] * 3
    assert "describe may not process vision[0]" in at_work.run("queue").stderr


def test_doctor_names_the_partitions_whose_offset_is_missing_or_not_in_the_log(
    at_work: Commands,
) -> None:
    topic = changelog_of(at_work.names, "assemble")
    make_topic(at_work.settings.kafka, topic, at_work.settings.kafka.partitions)
    produce(at_work, topic, (b"k", b"an open message", None))
    stand(at_work, "transcribe", "audio", 5)
    found = parts_of(at_work)
    assert "partition enrichments[0] is parked (offset_missing: " in found["assemble"]["says"]
    assert "restore the group's offset" in found["assemble"]["says"]
    assert "partition audio[0] is parked (offset_lost: " in found["transcribe"]["says"]
    assert "has committed 5, but " in found["transcribe"]["says"]
    assert found["dedupe"]["ok"] and found["describe"]["ok"]


def test_doctor_says_of_each_stage_that_its_topics_have_another_count(at_work: Commands) -> None:
    at_work.more["SENSORIUM_KAFKA__PARTITIONS"] = "2"
    found = parts_of(at_work)
    for stage in (*STAGES, "sink"):
        assert " has 4 partitions, SENSORIUM_KAFKA__PARTITIONS is 2" in found[stage]["says"]
        assert "(partition_count)" in found[stage]["says"] and not found[stage]["ok"]
