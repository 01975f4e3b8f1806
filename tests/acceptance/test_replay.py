"""Repairs from end to end: rows get a higher version, and no new rows appear.

No model is asked again where an answer is stored.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from streams.local.samples import MEDIA_DIR, SampleFile, chatwoot, link, mime_of, ycloud
from tests.pipeline import Pipeline, Tenant, wait_for


def file_of(address: str, name: str, like: str) -> SampleFile:
    return SampleFile(
        "audio" if like.endswith("ogg") else "image", link(address, name), mime_of(MEDIA_DIR / like)
    )


async def finished(tenant: Tenant, connection: Any, count: int, above: int = 0) -> dict[str, Any]:
    async def all_there() -> dict[str, Any] | None:
        rows = await tenant.rows(connection)
        done = len(rows) >= count and all(
            row["status"] != "pending" and row["version"] > above for row in rows.values()
        )
        return rows if done else None

    rows: dict[str, Any] = await wait_for(all_there, f"{count} finished rows above version {above}")
    return rows


def said(row: Any) -> tuple[Any, ...]:
    return (
        row["status"],
        row["content"],
        row["conversation_id"],
        row["kind"],
        json.loads(row["content_attributes"]),
    )


async def test_replayed_offsets_give_the_same_rows_at_higher_versions_although_every_link_is_over(
    pipeline: Pipeline, media: str, media_files: dict[str, Path], connection: Any
) -> None:
    tenant = Tenant(pipeline, "links-over")
    media_files |= {"over.jpg": MEDIA_DIR / "cat.jpg", "over.ogg": MEDIA_DIR / "voice-note-es.ogg"}
    sent = [
        chatwoot("mira", file_of(media, "over.jpg", "cat.jpg"), what="image"),
        ycloud(None, file_of(media, "over.ogg", "voice-note-es.ogg"), what="voice"),
        ycloud("hola", None, what="text"),
    ]
    assert [tenant.post(sample) for sample in sent] == [200] * 3
    before = await finished(tenant, connection, 3)
    assert {row["status"] for row in before.values()} == {"complete"}
    del media_files["over.jpg"], media_files["over.ogg"]
    places = await connection.fetch(
        """SELECT partition, "offset" FROM arrivals WHERE tenant_id = 'links-over'"""
    )
    words = [
        word
        for place in places
        for word in ("--offsets", f"{place['partition']}:{place['offset']}-{place['offset']}")
    ]
    done = await asyncio.to_thread(pipeline.command, "replay", "raw", *words)
    assert done["records"] == 3
    after = await finished(tenant, connection, 3, above=1000 * done["generation"])
    assert {key: said(row) for key, row in after.items()} == {
        key: said(row) for key, row in before.items()
    }
    objects = await connection.fetch(
        "SELECT object_key FROM media_objects WHERE tenant_id = 'links-over'"
    )
    assert len(objects) == 2  # and nothing was stored twice


async def test_an_attachment_that_was_not_there_is_replayed_from_its_download_and_completes(
    pipeline: Pipeline, media: str, media_files: dict[str, Path], connection: Any
) -> None:
    tenant = Tenant(pipeline, "not-there")
    samples = [
        ycloud("mira", file_of(media, "later.jpg", "cat.jpg"), what="image"),
        chatwoot(None, file_of(media, "later.ogg", "x.ogg"), what="voice"),
    ]
    assert [tenant.post(sample) for sample in samples] == [200] * 2
    before = await finished(tenant, connection, 2)
    assert {
        (row["status"], json.loads(row["content_attributes"])["attachments"][0]["reason"])
        for row in before.values()
    } == {("degraded", "media_not_found")}
    media_files |= {
        "later.jpg": MEDIA_DIR / "cat.jpg",
        "later.ogg": MEDIA_DIR / "voice-note-es.ogg",
    }
    done = await asyncio.to_thread(
        pipeline.command,
        "replay",
        "attachments",
        "--reason",
        "media_not_found",
        "--tenant",
        "not-there",
    )
    assert (done["messages"], done["attachments"]) == (2, 2)
    after = await finished(tenant, connection, 2, above=1000 * done["generation"])
    assert set(after) == set(before) and {row["status"] for row in after.values()} == {"complete"}
    shown = [json.loads(row["content_attributes"]) for row in after.values()]
    assert sorted(
        name for one in shown for name in ("description", "transcript") if name in one
    ) == ["description", "transcript"]
    steps = await connection.fetch(
        "SELECT stage, outcome FROM steps WHERE tenant_id = 'not-there' AND message_key = $1",
        samples[0].key(tenant.name),
    )
    assert {(step["stage"], step["outcome"]) for step in steps} >= {
        ("dedupe", "forwarded"), ("store_media", "failed:media_not_found"), ("store_media", "stored"), ("describe", "described"),
    }  # fmt: skip


async def test_a_replay_leaves_a_finished_row_as_it_is_until_its_new_version_is_finished(
    pipeline: Pipeline, media: str, connection: Any
) -> None:
    tenant = Tenant(pipeline, "dead-link")
    sample = ycloud("mira", file_of(media, "dead.jpg", "cat.jpg"), what="image")
    assert tenant.post(sample) == 200
    before = (await finished(tenant, connection, 1))[sample.key(tenant.name)]
    assert (before["status"], before["version"] < 1000) == ("degraded", True)
    place = await connection.fetchrow(
        """SELECT partition, "offset" FROM arrivals WHERE tenant_id = 'dead-link'"""
    )
    span = f"{place['partition']}:{place['offset']}-{place['offset']}"
    seen: list[Any] = []

    async def is_redone(version: int) -> bool:
        (row,) = (await tenant.rows(connection)).values()
        seen.append((row["status"], row["version"], row["redoing_version"] is not None))
        return seen[-1] == ("degraded", before["version"], True) or row["version"] > version

    assert await asyncio.to_thread(pipeline.stop, "store_media") == 0  # it would soon be redone
    try:
        done = await asyncio.to_thread(pipeline.command, "replay", "raw", "--offsets", span)
        await wait_for(lambda: is_redone(before["version"]), "the message is being redone")
        assert seen[-1] == ("degraded", before["version"], True)
    finally:
        pipeline.start("store_media")

    async def is_done() -> bool:
        await is_redone(0)
        return bool(seen[-1][1] > 1000 * done["generation"])

    await wait_for(is_done, "the replayed message")
    await asyncio.to_thread(pipeline.wait_ready, "store_media")
    assert {status for status, _, _ in seen} == {"degraded"}
    assert seen[-1][2] is False
