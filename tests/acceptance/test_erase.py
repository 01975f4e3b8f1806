"""Erases messages while the pipeline runs. Nothing that comes later brings one back."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Producer

from schemas.codec import decode, encode
from schemas.records import EnrichedMessage
from storage.kafka.client import plain_producer_config
from streams.local.samples import MEDIA_DIR, Sample, SampleFile, link, mime_of, ycloud
from tests.acceptance.test_removal import files_of, last_values, rows_of
from tests.pipeline import Pipeline, Tenant, wait_for

CUSTOMER, BESIDE = "15550100001", "15550100002"


def status_of(pipeline: Pipeline, path: str, key: str) -> int:
    request = urllib.request.Request(
        f"{pipeline.console}{path}", headers={"authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


async def quiet(pipeline: Pipeline) -> None:
    """Waits until no stage has an unfinished job or an unread record."""

    async def drained() -> bool:
        left = 0.0
        for role in ("dedupe", "store_media", "describe", "transcribe", "assemble", "sink"):
            url = f"http://127.0.0.1:{pipeline.ports[role]}/metrics"
            text = (await asyncio.to_thread(urllib.request.urlopen, url)).read().decode()
            left += sum(
                float(line.rpartition(" ")[2])
                for line in text.splitlines()
                if line.startswith(("sensorium_stage_jobs_waiting", "sensorium_stage_lag_records", "sensorium_sink_lag_records"))
            )  # fmt: skip
        return left == 0

    await wait_for(drained, "nothing waits any more")


async def test_what_was_erased_stays_away(
    pipeline: Pipeline, media: str, media_files: dict[str, Path], connection: Any
) -> None:
    tenant, other = Tenant(pipeline, "erases"), Tenant(pipeline, "keeps")
    media_files["erase.jpg"] = MEDIA_DIR / "cat.jpg"
    media_files["erase-late.jpg"] = MEDIA_DIR / "coffee.jpg"

    def picture(name: str) -> SampleFile:
        return SampleFile("image", link(media, name), mime_of(MEDIA_DIR / "cat.jpg"))

    def sent(text: str, file: SampleFile | None, **more: str) -> Sample:
        return ycloud(text, file, what=text, **more)

    mine = [sent("hola", None), sent("mira", picture("erase.jpg"))]
    beside = sent("igual", picture("erase.jpg"), conversation=BESIDE)
    for one in (*mine, beside):
        assert tenant.post(one) == 200
    for one in mine:
        assert other.post(one) == 200

    async def finished() -> bool:
        rows = {**await tenant.rows(connection), **await other.rows(connection)}
        return len(rows) == 5 and all(row["status"] == "complete" for row in rows.values())

    await wait_for(finished, "five finished rows")
    before = await rows_of(connection, "keeps")
    # One more picture, whose model does not answer yet, is on its way while the contact is erased.
    # It answers late: of one that fails, the stage would soon have enough.
    pipeline.control({"fault": "slow", "seconds": 20})
    try:
        late = sent("tarde", picture("erase-late.jpg"))
        assert tenant.post(late) == 200

        async def on_its_way() -> bool:
            return (await rows_of(connection, "erases"))["media_objects"] == 3

        await wait_for(on_its_way, "the late picture is stored")
        dry = await asyncio.to_thread(pipeline.command, "erase", "contact", "erases", CUSTOMER)
        assert (dry["dry_run"], dry["erased"]["messages"], dry["erased"]["unfinished"]) == (
            True,
            3,
            1,
        )
        done = await asyncio.to_thread(
            pipeline.command, "erase", "contact", "erases", f"+{CUSTOMER}", "--yes"
        )
    finally:
        pipeline.control(None)
    assert (done["erased"]["messages"], done["erased"]["files"]) == (3, 2)
    assert done["erased"]["shared_answers"] == 1  # the other customer sent the same picture
    for one in (*mine, late):  # the provider delivers once more
        assert tenant.post(one) == 200
    replayed = await asyncio.to_thread(
        pipeline.command, "replay", "raw", "--since", "2026-01-01", "--tenant", "erases"
    )
    assert replayed["records"] == 1
    await quiet(pipeline)

    async def only_the_other_is_left() -> bool:
        values = await asyncio.to_thread(last_values, pipeline, "erases")
        alive = {key.decode() for (key, _), value in values.items() if value is not None}
        return alive == {beside.key("erases")} and len(values) == 4

    await wait_for(only_the_other_is_left, "a tombstone behind every message, the late one too")
    await quiet(pipeline)
    assert set(await tenant.rows(connection)) == {beside.key("erases")}
    left = await rows_of(connection, "erases")
    assert (left["media_objects"], left["ai_results"], left["arrivals"]) == (1, 1, 1)
    assert len(await files_of(pipeline, "erases")) == 1
    assert await rows_of(connection, "keeps") == before
    path = f"/api/messages/{mine[1].key('erases').replace(':', '%3A')}"
    assert status_of(pipeline, path, tenant.key) == 404
    assert status_of(pipeline, path.replace("erases", "keeps"), other.key) == 200
    audited = await asyncio.to_thread(
        pipeline.command, "audit", "--tenant", "erases", "--stuck-seconds", "0"
    )
    assert audited["findings"] == []


async def test_a_version_that_a_stage_still_had_in_hand_is_buried(
    pipeline: Pipeline, connection: Any
) -> None:
    tenant = Tenant(pipeline, "buries")
    sample = ycloud("adiós", None, what="text")
    assert tenant.post(sample) == 200

    async def there() -> Any:
        return await tenant.rows(connection)

    await wait_for(there, "the row")
    versions = await asyncio.to_thread(last_values, pipeline, "buries")
    await asyncio.to_thread(pipeline.command, "erase", "message", sample.key("buries"), "--yes")
    producer = Producer(plain_producer_config(pipeline.settings.kafka))
    for (key, partition), value in versions.items():
        assert value is not None and partition is not None
        first = decode(EnrichedMessage, value)
        late = encode(msgspec.structs.replace(first, version=first.version + 1))
        producer.produce(pipeline.names.topic("enriched-messages"), late, key, partition)
    assert producer.flush(20) == 0

    async def buried() -> bool:
        values = await asyncio.to_thread(last_values, pipeline, "buries")
        return len(values) == 1 and not any(values.values())

    await wait_for(buried, "a tombstone behind the late version")
    assert set((await rows_of(connection, "buries")).values()) == {0}
