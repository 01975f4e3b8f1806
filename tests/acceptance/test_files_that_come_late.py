"""From the request to the row: a file in an update, an answer to a form, and invalid times."""

import asyncio
import json
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from typing import Any

from streams.local.samples import Sample, link
from tests.acceptance.test_shapes import payload, sample_of
from tests.pipeline import Pipeline, Tenant, wait_for


def chatwoot(*attachments: dict[str, Any], **fields: Any) -> Sample:
    event = payload("chatwoot", "api_channel_text_2026_02") | fields
    if attachments:
        event |= {"attachments": list(attachments), "content": fields.get("content")}
    return sample_of("chatwoot", event)


def voice(url: str) -> dict[str, Any]:
    return {"id": 62, "message_id": 1, "file_type": "audio", "data_url": url}


def photo(url: str) -> dict[str, Any]:
    return {"id": 61, "message_id": 1, "file_type": "image", "data_url": url}


async def row_when(
    tenant: Tenant, connection: Any, number: int, status: str, version: int = 1
) -> Any:
    """The row of a Chatwoot message, once it has the status and at least the version."""

    async def there() -> Any:
        row = (await tenant.rows(connection)).get(f"{tenant.name}:chatwoot:7/{number}")
        return row if row and row["status"] == status and row["version"] >= version else None

    return await wait_for(there, f"{number} to be {status}")


def statuses(row: Any) -> list[str]:
    return [one["status"] for one in json.loads(row["content_attributes"])["attachments"]]


async def test_a_file_that_comes_with_an_update_is_fetched_and_heard_and_all_balances(
    pipeline: Pipeline, media: str, connection: Any
) -> None:
    tenant = Tenant(pipeline, "late-files")
    sent = {"created_at": datetime.now(UTC).isoformat()}
    number = uuid.uuid4().int % 10**9
    alone, beside, overtaken = number, number + 1, number + 2
    here = link(media, "voice-note-es.ogg")
    created = {"event": "message_created", **sent}
    updated = {"event": "message_updated", **sent}
    # 1. Nothing has its file, or its attachments, yet.
    for sample in (
        chatwoot(voice(""), id=alone, **created),
        chatwoot(photo(link(media, "cat.jpg")), voice(""), id=beside, **created),
        chatwoot(id=overtaken, content=None, **updated),
    ):
        assert tenant.post(sample) == 200
    first = await row_when(tenant, connection, alone, "degraded")
    assert statuses(first) == ["failed"]
    assert statuses(await row_when(tenant, connection, beside, "degraded")) == [
        "described",
        "failed",
    ]
    await row_when(tenant, connection, overtaken, "degraded")
    # 2. The files come, twice each.
    for _ in range(2):
        for sample in (
            chatwoot(voice(here), id=alone, **updated),
            chatwoot(photo(link(media, "cat.jpg")), voice(here), id=beside, **updated),
            chatwoot(voice(here), id=overtaken, **created),
        ):
            assert tenant.post(sample) == 200
    whole = await row_when(tenant, connection, alone, "complete", 201)
    assert (statuses(whole), whole["kind"]) == (["transcribed"], "audio")
    assert whole["content"]
    assert whole["received_at"] == first["received_at"]
    assert statuses(await row_when(tenant, connection, beside, "complete", 201)) == [
        "described",
        "transcribed",
    ]
    assert statuses(await row_when(tenant, connection, overtaken, "complete", 201)) == [
        "transcribed"
    ]
    # 3. A replay of all deliveries gives the same, and nothing is missing or twice.
    words = ["replay", "raw", "--tenant", tenant.name, "--since", "2026-01-01T00:00:00Z"]
    done = await asyncio.to_thread(pipeline.command, *words)
    again = await row_when(tenant, connection, alone, "complete", done["generation"] * 1000 + 201)
    assert (again["content"], statuses(again)) == (whole["content"], ["transcribed"])
    assert again["received_at"] == first["received_at"]

    async def balanced() -> bool:
        words = ["audit", "--tenant", tenant.name, "--stuck-seconds", "1"]
        document = await asyncio.to_thread(pipeline.command, *words)
        return bool(document["balanced"])

    await wait_for(balanced, "a balanced audit")


async def test_an_answer_to_a_form_is_a_message_of_the_customer(
    pipeline: Pipeline, connection: Any
) -> None:
    tenant = Tenant(pipeline, "forms")
    answered = payload("chatwoot", "widget_choice_submitted")
    question = {**answered, "event": "message_created", "content_attributes": {}}
    for event in (answered, question, answered):
        assert tenant.post(sample_of("chatwoot", event)) == 200

    async def both() -> Any:
        rows = await tenant.rows(connection)
        return rows if len(rows) == 2 else None

    rows = await wait_for(both, "a question and its answer")
    assert sorted((row["role"], row["content"]) for row in rows.values()) == [
        ("assistant", "¿A qué hora le viene bien?"),
        ("user", "Por la tarde"),
    ]


def post_chat(pipeline: Pipeline, key: str, body: dict[str, Any]) -> int:
    request = urllib.request.Request(
        f"{pipeline.receiver}/chat",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


async def test_a_photo_with_a_zero_time_is_looked_at(
    pipeline: Pipeline, media: str, connection: Any
) -> None:
    tenant = Tenant(pipeline, "zero-times")
    key = await asyncio.to_thread(pipeline.chat_key, tenant.name)
    times = ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", 0, None, "20261127", 20261127120000]
    answers = []
    for number, occurred_at in enumerate(times):
        body = {
            "provider": "vetchat",
            "provider_message_id": str(number),
            "conversation_id": "c1",
            "sender": {"id": "u1"},
            "media": [{"type": "image", "url": link(media, "cat.jpg")}],
            "occurred_at": occurred_at,
        }
        answers.append(await asyncio.to_thread(post_chat, pipeline, key, body))
    assert answers == [202, 202, 202, 202, 422, 422]

    async def finished() -> Any:
        rows = await tenant.rows(connection)
        done = len(rows) == 4 and all(row["status"] == "complete" for row in rows.values())
        return rows if done else None

    for row in (await wait_for(finished, "four described photos")).values():
        assert statuses(row) == ["described"]
        assert row["occurred_at"] == row["received_at"]
