"""Which files a sweep deletes from the object store, and which it keeps."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.pipeline import TopicName
from schemas.records import Attachment
from schemas.topics import Names
from storage.kafka.client import client_config, plain_producer_config, reader_config
from storage.objects.store import ObjectStore
from streams.lanes.entries import Entry, encode_entry
from streams.repair import orphans
from streams.repair.orphans import Behind, Sweep, Swept
from tests.integration.commands import Commands, store
from tests.integration.console import row
from tests.integration.databases import Connection
from tests.topics import make_topic, make_topics, wait_until_gone

NOW = timedelta(0)


def put(commands: Commands, *names: str) -> None:
    async def work() -> None:
        objects = ObjectStore(commands.settings.objects, threads=1)
        await objects.ensure_bucket()
        for name in names:
            await objects.put_bytes(
                f"{commands.names.object_prefix}media/{name}", b"x" * 5, "image/jpeg"
            )
        await objects.close()

    asyncio.run(work())


def left(commands: Commands) -> list[str]:
    async def work() -> list[str]:
        objects = ObjectStore(commands.settings.objects, threads=1)
        prefix = f"{commands.names.object_prefix}media/"
        found = sorted([one.key.removeprefix(prefix) async for one in objects.list(prefix)])
        await objects.close()
        return found

    return asyncio.run(work())


def modified(commands: Commands, name: str) -> datetime:
    async def work() -> datetime:
        objects = ObjectStore(commands.settings.objects, threads=1)
        found = await objects.stat(f"{commands.names.object_prefix}media/{name}")
        await objects.close()
        assert found is not None
        return found.modified

    return asyncio.run(work())


def sweep(
    commands: Commands,
    older: timedelta = NOW,
    tenant: str | None = None,
    *,
    dry: bool = False,
    meanwhile: Callable[[], None] = lambda: None,
) -> Swept:
    """Sweeps. `meanwhile` is called after the old files were listed."""

    class Watched(Sweep):
        async def _wait_for(self, *arguments: object) -> None:
            await asyncio.to_thread(meanwhile)
            await super()._wait_for(*arguments)  # type: ignore[arg-type]

    async def work(connection: Connection) -> Swept:
        objects = ObjectStore(commands.settings.objects, threads=1)
        try:
            return await Watched(commands.settings, connection, objects).run(older, tenant, dry=dry)
        finally:
            await objects.close()

    return commands.database(work)


def shown(commands: Commands, name: str) -> Attachment:
    """An attachment whose row names that file."""
    key = f"{commands.names.object_prefix}media/{name}"
    return Attachment(
        index=0,
        type="image",
        status="stored",
        object_key=key,
        url=f"/media/{name}",
        sha256="ab",
        mime_type="image/jpeg",
        bytes=5,
    )


def produce(commands: Commands, name: TopicName) -> None:
    producer = Producer(plain_producer_config(commands.settings.kafka))
    producer.produce(commands.names.topic(name), b"", b"acme:ycloud:9", 2)
    assert producer.flush(30) == 0


def assemble_has_read(commands: Commands) -> None:
    consumer = Consumer(reader_config(commands.settings.kafka, commands.names.group("assemble")))
    consumer.commit(
        offsets=[TopicPartition(commands.names.topic("enrichments"), 2, 1)], asynchronous=False
    )
    consumer.close()


def sink_has_read(commands: Commands, name: TopicName = "enriched-messages") -> None:
    async def moved(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO sink_offsets (topic, partition, next_offset, epoch, topic_id) VALUES ($1, 2, 1, 1, 'x')",
            topic,
        )

    topic = commands.names.topic(name)
    commands.database(moved)


def sink_has_read_quarantine(commands: Commands) -> None:
    sink_has_read(commands, "quarantine")


def test_an_old_file_without_a_row_goes_and_nothing_else(commands: Commands) -> None:
    put(commands, "acme/shown.jpg", "acme/orphan.jpg", "other/orphan.jpg")
    store(commands, row("1", shown(commands, "acme/shown.jpg")))
    assert commands.json("sweep") == {
        "objects": 0,
        "bytes": 0,
        "dry_run": False,
        "undecided_tenants": [],
    }  # they are young
    assert sweep(commands, dry=True) == Swept(2, 10)
    assert len(left(commands)) == 3
    assert sweep(commands, tenant="acme") == Swept(1, 5)
    assert left(commands) == ["acme/shown.jpg", "other/orphan.jpg"]
    assert sweep(commands) == Swept(1, 5)
    assert left(commands) == ["acme/shown.jpg"]


@pytest.mark.parametrize(
    ("who", "topic", "catch_up"),
    [
        ("assemble", "enrichments", assemble_has_read),
        ("sink", "enriched-messages", sink_has_read),
        ("sink", "quarantine", sink_has_read_quarantine),
    ],
)
def test_nothing_goes_while_somebody_is_behind(
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    who: str,
    topic: TopicName,
    catch_up: Callable[[Commands], None],
) -> None:
    monkeypatch.setattr(orphans, "CATCH_UP_SECONDS", 1.0)
    put(commands, "acme/orphan.jpg")
    produce(commands, topic)
    with pytest.raises(
        Behind, match=rf"^{who} has not read {commands.names.topic(topic)}\[2\] from offset 0 on"
    ):
        sweep(commands)
    assert left(commands) == ["acme/orphan.jpg"]
    catch_up(commands)
    assert sweep(commands) == Swept(1, 5)


def test_nothing_goes_while_another_set_of_topics_of_the_pipeline_is_behind(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "CATCH_UP_SECONDS", 1.0)
    further = f"{commands.settings.namespace}.2"
    kafka = msgspec.structs.replace(commands.settings.kafka, partitions=3)
    make_topics(kafka, Names(further))
    put(commands, "acme/orphan.jpg")
    topic = Names(further).topic("enriched-messages")
    producer = Producer(plain_producer_config(kafka))
    producer.produce(topic, b"", b"acme:ycloud:9", 2)
    assert producer.flush(30) == 0

    async def begun(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO sink_offsets (topic, partition, next_offset, epoch, topic_id) VALUES ($1, 1, 1, 1, 'x')",
            topic,
        )

    commands.database(begun)
    with pytest.raises(Behind, match=rf"^sink has not read {topic}\[2\] from offset 0 on"):
        sweep(commands)
    assert left(commands) == ["acme/orphan.jpg"]
    admin = AdminClient(client_config(kafka))
    for deleted in admin.delete_topics([topic]).values():
        deleted.result(30)
    wait_until_gone(kafka, topic)
    assert sweep(commands) == Swept(1, 5)


def test_a_file_whose_row_comes_meanwhile_stays(commands: Commands) -> None:
    put(commands, "acme/late.jpg")
    assert (
        sweep(
            commands, meanwhile=lambda: store(commands, row("1", shown(commands, "acme/late.jpg")))
        )
        == Swept()
    )
    assert left(commands) == ["acme/late.jpg"]


def test_a_file_that_is_put_again_meanwhile_stays(commands: Commands) -> None:
    def put_again() -> None:
        """Stores the file again until its time differs.

        A store keeps the time of an object in whole seconds.
        """
        began = datetime.now(UTC)
        while modified(commands, "acme/again.jpg") <= began:
            put(commands, "acme/again.jpg")

    put(commands, "acme/again.jpg")
    assert sweep(commands, meanwhile=put_again) == Swept()
    assert left(commands) == ["acme/again.jpg"]


def test_a_tenant_with_a_record_in_quarantine_that_may_name_a_file_is_left_alone(
    commands: Commands,
) -> None:
    async def refused(connection: Connection) -> None:
        for stage, tenant in (("sink", "acme"), ("dedupe", "other")):
            await connection.execute(
                'INSERT INTO quarantined_messages (tenant_id, stage, reason, detail, record_key, topic, partition, "offset", created_at, program_version) '
                "VALUES ($1, $2, 'record_unstorable', '', 'k', 't', 0, 0, now(), '0')",
                tenant,
                stage,
            )

    put(commands, "acme/orphan.jpg", "other/orphan.jpg")
    commands.database(refused)
    assert sweep(commands) == Swept(1, 5, {"acme"})
    assert left(commands) == ["acme/orphan.jpg"]


def test_an_age_that_would_take_files_still_on_their_way_is_refused(commands: Commands) -> None:
    assert "--older-than-hours" in commands.fails("sweep", "--older-than-hours", "0.5")


def test_sweep_refuses_a_tenant_that_does_not_exist(commands: Commands) -> None:
    assert "there is no tenant 'nobody'" in commands.fails("sweep", "--tenant", "nobody")


def admitted(commands: Commands, tenant: str, hours_ago: float, *, finished: bool = False) -> None:
    """A job of store_media in the stage's changelog.

    The job has stored its file and waits at the gate of the stopped stage.
    """
    topic = f"{commands.names.group('store_media')}-jobs-changelog"
    kafka = commands.settings.kafka
    with suppress(KafkaException):  # it is there
        make_topic(kafka, topic, kafka.partitions)
    at = (datetime.now(UTC) - timedelta(hours=hours_ago)).timestamp()
    producer = Producer(plain_producer_config(kafka))
    key = f"{tenant}{hours_ago}".encode()
    producer.produce(topic, encode_entry(Entry(tenant, b"k", [], None, at)), key, 1)
    if finished:
        producer.produce(topic, None, key, 1)
    assert producer.flush(30) == 0


def test_a_file_whose_job_is_not_finished_stays_however_old_it_is(commands: Commands) -> None:
    put(commands, "acme/held.jpg", "done/orphan.jpg", "busy/orphan.jpg")
    admitted(commands, "acme", 70)
    admitted(commands, "done", 70, finished=True)
    admitted(commands, "busy", -1)  # later than the files that are looked at
    swept = sweep(commands)
    assert (swept.objects, swept.undecided) == (2, {"acme"})
    assert left(commands) == ["acme/held.jpg"]
    admitted(commands, "acme", 70, finished=True)
    assert sweep(commands).objects == 1
