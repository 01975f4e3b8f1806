"""Removing a tenant deletes its data: rows, files, model answers, and messages on the topic."""

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from storage.kafka.client import plain_producer_config, reader_config
from storage.objects.store import ObjectStore
from streams.local.samples import MEDIA_DIR, SampleFile, link, mime_of, ycloud
from tests.pipeline import Pipeline, Tenant, wait_for

TABLES = (
    "chat_messages",
    "arrivals",
    "message_steps",
    "media_objects",
    "conversation_aliases",
    "quarantined_messages",
    "ai_results",
)


async def rows_of(connection: Any, tenant: str) -> dict[str, int]:
    return {
        table: await connection.fetchval(
            f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tenant
        )
        for table in TABLES
    }


async def files_of(pipeline: Pipeline, tenant: str) -> list[str]:
    store = ObjectStore(pipeline.settings.objects, threads=1)
    try:
        prefix = f"{pipeline.names.object_prefix}media/{tenant}/"
        return [one.key async for one in store.list(prefix)]
    finally:
        await store.close()


def last_values(pipeline: Pipeline, tenant: str) -> dict[tuple[bytes, int | None], bytes | None]:
    """The newest value of each key of the tenant per partition, as compaction leaves it."""
    kafka = pipeline.settings.kafka
    consumer = Consumer(reader_config(kafka, "removal-test") | {"enable.partition.eof": True})
    topic = pipeline.names.topic("enriched-messages")
    consumer.assign([TopicPartition(topic, number, 0) for number in range(kafka.partitions)])
    found: dict[tuple[bytes, int | None], bytes | None] = {}
    left = kafka.partitions
    while left:
        message = consumer.poll(60)
        assert message is not None, "the topic could not be read to its end"
        if (error := message.error()) is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            left -= 1
        elif (message.key() or b"").startswith(f"{tenant}:".encode()):
            found[message.key() or b"", message.partition()] = message.value()
    consumer.close()
    return found


def write_again(pipeline: Pipeline, versions: dict[tuple[bytes, int | None], bytes | None]) -> None:
    """Writes versions, as a stage would that had them in flight when the tenant was removed."""
    producer = Producer(plain_producer_config(pipeline.settings.kafka))
    for (key, partition), value in versions.items():
        assert value is not None and partition is not None
        producer.produce(pipeline.names.topic("enriched-messages"), value, key, partition)
    assert producer.flush(20) == 0


async def test_nothing_of_a_removed_tenant_stays_and_nothing_comes_after(
    pipeline: Pipeline, media: str, media_files: dict[str, Path], connection: Any
) -> None:
    tenant, other = Tenant(pipeline, "leaves"), Tenant(pipeline, "stays")
    media_files["leaves.jpg"] = MEDIA_DIR / "cat.jpg"
    picture = SampleFile("image", link(media, "leaves.jpg"), mime_of(MEDIA_DIR / "cat.jpg"))
    for one in (tenant, other):
        for sample in (
            ycloud("hola", None, what="text"),
            ycloud("mira", picture, what="image"),
            ycloud("x", None, what="text", conversation="15550100002"),
        ):
            assert one.post(sample) == 200

    async def finished() -> bool:
        rows = {**await tenant.rows(connection), **await other.rows(connection)}
        return len(rows) == 6 and all(row["status"] == "complete" for row in rows.values())

    await wait_for(finished, "six finished rows")
    before = await rows_of(connection, "stays")
    assert (await rows_of(connection, "leaves"))["ai_results"] == 1
    versions = await asyncio.to_thread(last_values, pipeline, "leaves")
    assert len(await files_of(pipeline, "leaves")) == 1
    # A picture whose model does not answer yet is on its way when the tenant is removed.
    # It answers late: of one that fails, the stage would soon have enough.
    pipeline.control({"fault": "slow", "seconds": 20})
    try:
        media_files["late.jpg"] = MEDIA_DIR / "coffee.jpg"
        late = SampleFile("image", link(media, "late.jpg"), mime_of(MEDIA_DIR / "coffee.jpg"))
        assert tenant.post(ycloud("tarde", late, what="image")) == 200

        async def on_its_way() -> bool:
            return (await rows_of(connection, "leaves"))["media_objects"] == 2

        await wait_for(on_its_way, "the late picture is stored")
        done = await asyncio.to_thread(pipeline.command, "tenants", "remove", "leaves", "--yes")
    finally:
        pipeline.control(None)
    assert done["ended"] == {"keys": 1, "endpoints": 2} and done["data_kept"] is False
    assert (done["deleted"]["messages"], done["deleted"]["tombstones"]) == (4, 4)
    assert {one["topic"] for one in done["expires"]} >= {"raw-messages", "quarantine"}

    async def buried() -> bool:
        values = await asyncio.to_thread(last_values, pipeline, "leaves")
        return len(values) == 4 and not any(values.values())

    await wait_for(buried, "a tombstone behind every message, also behind the late one")

    async def no_job_is_left() -> bool:
        waiting = 0.0
        for stage in ("describe", "store_media"):
            url = f"http://127.0.0.1:{pipeline.ports[stage]}/metrics"
            text = (await asyncio.to_thread(urllib.request.urlopen, url)).read().decode()
            name = f'sensorium_stage_jobs_waiting{{stage="{stage}"}} '
            waiting += sum(
                float(line.removeprefix(name))
                for line in text.splitlines()
                if line.startswith(name)
            )
        return waiting == 0

    await wait_for(no_job_is_left, "the job of the late picture ends")
    await asyncio.to_thread(write_again, pipeline, versions)
    await wait_for(buried, "and what came of it is buried too")
    assert set((await rows_of(connection, "leaves")).values()) == {0}
    assert await files_of(pipeline, "leaves") == []
    assert await rows_of(connection, "stays") == before
    assert len(await files_of(pipeline, "stays")) == 1
    audited = await connection.fetch(
        "SELECT action FROM audit_log WHERE tenant_id = 'leaves' ORDER BY id"
    )
    assert [row["action"] for row in audited][-2:] == ["tenant_removed", "tenant_data_deleted"]
    again = await asyncio.to_thread(pipeline.command, "tenants", "remove", "leaves", "--yes")
    assert again["ended"] == {"keys": 0, "endpoints": 0} and not any(again["deleted"].values())
    assert json.dumps(done)
