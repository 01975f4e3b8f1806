"""Forms of messages, and sequences of deliveries, that the captured samples do not contain.

Each goes from the webhook to the row.
"""

import gzip
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.providers.catalogue import identify
from schemas.keys import TenantId, message_key
from streams.local.samples import MEDIA_DIR, Sample, link
from tests.pipeline import Pipeline, Tenant, wait_for

PAYLOADS = Path(__file__).parents[1] / "payloads"


def sample_of(provider: str, event: dict[str, Any]) -> Sample:
    body = json.dumps(event).encode()
    (provider_id,) = identify(provider, body)
    return Sample("shape", provider, body, provider_id)


def payload(provider: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / provider / f"{name}.json").read_bytes())
    return found


def post_all(tenant: Tenant, samples: Iterable[Sample]) -> list[str]:
    """Posts all, and returns their message keys in order."""
    keys = []
    for sample in samples:
        assert tenant.post(sample) == 200
        keys.append(message_key(TenantId(tenant.name), sample.provider, sample.provider_message_id))
    return keys


async def rows_of(tenant: Tenant, connection: Any, keys: set[str]) -> dict[str, Any]:
    """The tenant's rows, once those of all the keys are finished."""

    async def finished() -> dict[str, Any] | None:
        rows = await tenant.rows(connection)
        return (
            rows
            if keys <= set(rows) and all(row["status"] != "pending" for row in rows.values())
            else None
        )

    rows: dict[str, Any] = await wait_for(finished, f"{len(keys)} finished rows")
    return rows


async def quarantined(tenant: Tenant, connection: Any) -> list[Any]:
    return list(
        await connection.fetch(
            "SELECT stage, reason, detail FROM quarantined_messages WHERE tenant_id = $1",
            tenant.name,
        )
    )


def now() -> str:
    return datetime.now(UTC).isoformat()


def ycloud(message: dict[str, Any], **envelope: Any) -> Sample:
    sent = {
        "wamid": f"wamid.{uuid.uuid4().hex}",
        "from": "+1 202 555 0147",
        "to": "+1 (415) 555-0123",
        "sendTime": now(),
    }
    event = {
        "id": f"evt_{uuid.uuid4().hex}",
        "type": "whatsapp.inbound_message.received",
        "whatsappInboundMessage": sent | message,
        **envelope,
    }
    return sample_of("ycloud", event)


def chatwoot(*attachments: dict[str, Any], **fields: Any) -> Sample:
    event = (
        payload("chatwoot", "api_channel_text_2026_02")
        | {"id": uuid.uuid4().int % 10**12, "created_at": now()}
        | fields
    )
    return sample_of(
        "chatwoot", {**event, "attachments": list(attachments)} if attachments else event
    )


async def test_every_sequence_gives_one_row_at_its_first_version(
    pipeline: Pipeline, connection: Any
) -> None:
    tenant = Tenant(pipeline, "sequences")
    expected = {}
    for file in sorted((PAYLOADS / "sequences").glob("*.json")):
        provider = file.stem.partition("_")[0]
        samples = [sample_of(provider, step["event"]) for step in json.loads(file.read_bytes())]
        (key,) = set(post_all(tenant, samples))
        expected[key] = json.loads(samples[0].body)
    # What was sent last in each partition is behind all that came before: when it is a row, the rest was dealt with.
    markers = post_all(
        tenant, [ycloud({"type": "text", "text": {"body": str(number)}}) for number in range(40)]
    )
    rows = await rows_of(tenant, connection, {*expected, *markers})
    assert set(rows) == {*expected, *markers}
    for key, event in expected.items():
        content = (
            event["content"]
            if "content" in event
            else event["whatsappInboundMessage"]["text"]["body"]
        )
        assert (rows[key]["version"], rows[key]["status"], rows[key]["content"]) == (
            1,
            "complete",
            content,
        )
    assert await quarantined(tenant, connection) == []


async def test_shapes_of_text_and_time_become_rows(pipeline: Pipeline, connection: Any) -> None:
    tenant = Tenant(pipeline, "shapes")
    poison = "a\0b\ud800c"
    shapes: dict[str, tuple[Sample, dict[str, Any]]] = {
        "unstorable": (
            ycloud({"type": "text", "text": {"body": poison}, "customerProfile": {"name": poison}, "context": {"id": poison}}),
            {"content": "a\ufffdb\ufffdc", "sender_name": "a\ufffdb\ufffdc"},
        ),
        "no phone": (ycloud({"from": None, "fromUserId": "US.1", "type": "text", "text": {"body": "x"}}), {"conversation_id": "14155550123~US.1"}),
        "group": (ycloud({"groupId": "12@g.us", "type": "text", "text": {"body": "x"}}), {"conversation_id": "group~12-g.us.2818f63577567a54"}),
        "no reply title": (ycloud({"type": "button", "button": {"payload": "id-1"}}), {"kind": "interactive", "content": None}),
        "far ahead": (ycloud({"type": "text", "text": {"body": "x"}, "sendTime": "9999-12-31T23:59:59.999999Z"}), {"content": "x"}),
        "long ago": (ycloud({"type": "text", "text": {"body": "x"}, "sendTime": "0001-01-01T00:00:00Z"}), {"content": "x"}),
        "empty": (chatwoot(content=None), {"kind": "unsupported", "status": "degraded", "content": None}),
        "note": (chatwoot(content="ojo", private="true", message_type="outgoing"), {"kind": "note", "direction": "outbound", "content": "ojo"}),
        "nowhere": (
            chatwoot({"file_type": "audio", "data_url": ""}),
            {"kind": "audio", "status": "degraded"},
        ),
        "page": (
            chatwoot({"file_type": "fallback", "fallback_title": poison, "data_url": "https://shop.example.com/"}, content=None),
            {"status": "complete", "content": None},
        ),
        "messenger": (
            sample_of(
                "ycloud",
                {
                    "id": "evt_m", "type": "messenger.inbound_message.received",
                    "messengerInboundMessage": {"id": "m1", "from": "72", "to": "10", "type": "text", "text": {"body": "hi"}},
                },
            ),
            {"conversation_id": "10~72", "content": "hi"},
        ),
    }  # fmt: skip
    keys = dict(
        zip(shapes, post_all(tenant, (sample for sample, _ in shapes.values())), strict=True)
    )
    rows = await rows_of(tenant, connection, set(keys.values()))
    for name, (_, wanted) in shapes.items():
        row = rows[keys[name]]
        assert {column: row[column] for column in wanted} == wanted, name
    assert await quarantined(tenant, connection) == []


async def test_files_that_are_not_what_was_announced_end_with_their_reason(
    pipeline: Pipeline, media: str, media_files: dict[str, Path], tmp_path: Path, connection: Any
) -> None:
    tenant = Tenant(pipeline, "hostile-files")
    contents = {
        "empty.ogg": b"",
        "page.jpg": b"<!DOCTYPE html><title>Log in</title>",
        "error.mp3": b'{"error": {"code": 404}}',
        "broken.jpg": (MEDIA_DIR / "cat.jpg").read_bytes()[:3_000],
        "noise.jpg": bytes(range(200, 256)) * 40,
        "sticker.tgs": gzip.compress(b"{}"),
        "notes.txt": b"hola",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        media_files[name] = tmp_path / name

    def sent(file_type: str, name: str, **fields: Any) -> Sample:
        return chatwoot(
            {"file_type": file_type, "data_url": link(media, name), **fields}, content=None
        )

    cases: list[tuple[Sample, str, str, str | None]] = [
        (sent("audio", "empty.ogg"), "degraded", "failed", "media_empty"),
        (sent("image", "page.jpg"), "degraded", "failed", "media_wrong_content"),
        (
            sent("file", "page.jpg", content_type="application/pdf"),
            "degraded",
            "failed",
            "media_wrong_content",
        ),
        (sent("audio", "error.mp3"), "degraded", "failed", "media_wrong_content"),
        (sent("image", "broken.jpg"), "degraded", "failed", "image_undecodable"),
        (sent("image", "noise.jpg"), "degraded", "failed", "image_undecodable"),
        (sent("image", "nothing-there.jpg"), "degraded", "failed", "media_not_found"),
        (sent("image", "sticker.tgs"), "complete", "stored", None),
        (sent("file", "notes.txt"), "complete", "stored", None),
        (
            sent("file", "voice-note-es.ogg", content_type="application/octet-stream"),
            "complete",
            "transcribed",
            None,
        ),
        (sent("file", "astronaut.heic", content_type="image/heic"), "complete", "described", None),
        (
            chatwoot({"file_type": "image", "data_url": "http://169.254.169.254/x"}, content=None),
            "degraded",
            "failed",
            "media_refused_address",
        ),
        (
            ycloud({"type": "image", "image": {"link": "https://evil.example/x", "id": "9"}}),
            "degraded",
            "failed",
            "media_refused_address",
        ),
        (
            ycloud({"type": "image", "image": {"id": "9"}}),
            "degraded",
            "failed",
            "media_unavailable",
        ),
        (
            ycloud({"type": "sticker", "sticker": {"link": link(media, "rocket.webp")}}),
            "complete",
            "described",
            None,
        ),
    ]
    keys = post_all(tenant, (sample for sample, *_ in cases))
    rows = await rows_of(tenant, connection, set(keys))
    found = []
    for key in keys:
        (attachment,) = json.loads(rows[key]["content_attributes"])["attachments"]
        found.append((rows[key]["status"], attachment["status"], attachment.get("reason")))
    assert found == [case[1:] for case in cases]
    voice = rows[keys[9]]
    assert (voice["kind"], json.loads(voice["content_attributes"])["attachments"][0]["type"]) == (
        "audio",
        "audio",
    )
    assert await quarantined(tenant, connection) == []
