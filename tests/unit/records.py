"""Records for tests.

Each function builds a valid record, with the fields that matter to the test.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.arrival import Arrival
from schemas.codec import encode
from schemas.headers import Routing
from schemas.keys import MessageKey, TenantId, message_key
from schemas.records import (
    Attachment,
    AudioJob,
    ChatMessage,
    EnrichedMessage,
    Enrichment,
    FoundAttachment,
    MediaJob,
    RawMessage,
    Source,
    VisionJob,
)

PAYLOADS = Path(__file__).parents[1] / "payloads"
EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"

TENANT = TenantId("acme")
NOW = datetime(2026, 7, 14, 10, 5, tzinfo=UTC)
KEY = message_key(TENANT, "ycloud", "wamid.1")
TRACEPARENT = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
SOURCE = Source(topic="raw-messages", partition=3, offset=41)


def payload(provider: str, name: str) -> dict[str, Any]:
    """A captured body, as a new document that the test may change."""
    document: dict[str, Any] = json.loads((PAYLOADS / provider / name).read_bytes())
    return document


def body(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def raw(
    provider: str = "ycloud", provider_id: str = "wamid.1", content: bytes = b"{}", **fields: Any
) -> RawMessage:
    return RawMessage(
        **{
            "tenant_id": TENANT,
            "provider": provider,
            "message_key": message_key(TENANT, provider, provider_id),
            "endpoint_id": "ep-1",
            "received_at": NOW,
            "body": content,
            **fields,
        }
    )


def arrival(
    of: RawMessage, offset: int = 41, generation: int = 0, value: bytes | None = None
) -> Arrival:
    """The raw record as dedupe gets it, with `value` instead of its own value if it is given."""
    routing = Routing(
        tenant_id=of.tenant_id, provider=of.provider, traceparent=TRACEPARENT, generation=generation
    )
    return Arrival(
        "raw-messages",
        3,
        offset,
        of.message_key.encode(),
        encode(of) if value is None else value,
        routing.to_headers(),
    )


def found(type: str = "image", **fields: Any) -> FoundAttachment:
    return FoundAttachment(**{"type": type, "url": "https://files.example.com/one", **fields})


def chat(*attachments: FoundAttachment, **fields: Any) -> ChatMessage:
    return ChatMessage(
        **{
            "provider_message_id": "wamid.1",
            "conversation_id": "14155550123~12025550147",
            "role": "user",
            "direction": "inbound",
            "kind": attachments[0].type if attachments else "text",
            "content": None if attachments else "Hola",
            "occurred_at": NOW - timedelta(seconds=2),
            "attachments": attachments,
            **fields,
        }
    )


def attachment(index: int = 0, **fields: Any) -> Attachment:
    return Attachment(
        **{
            "index": index,
            "type": "image",
            "status": "pending",
            "original_url": "https://files.example.com/one",
            **fields,
        }
    )


def message(*attachments: Attachment, generation: int = 0, **fields: Any) -> EnrichedMessage:
    """The first version of a message, pending if it has attachments."""
    return EnrichedMessage(
        **{
            "tenant_id": TENANT,
            "message_key": KEY,
            "provider": "ycloud",
            "provider_message_id": "wamid.1",
            "conversation_id": "14155550123~12025550147",
            "role": "user",
            "direction": "inbound",
            "kind": "image" if attachments else "text",
            "content": None,
            "content_attributes": '{"provider":{"event_id":"evt_1"}}',
            "status": "pending" if attachments else "complete",
            "version": generation * 1000 + 1,
            "occurred_at": NOW,
            "received_at": NOW,
            "enriched_at": NOW,
            "attachments": attachments,
            "source": SOURCE,
            **fields,
        }
    )


def enrichment(kind: str, index: int | None = None, **fields: Any) -> Enrichment:
    """One enrichment, by the stage that writes such ones."""
    stages = {
        "opened": "dedupe",
        "stored": "store_media",
        "described": "describe",
        "transcribed": "transcribe",
    }
    return Enrichment(
        **{
            "tenant_id": TENANT,
            "message_key": KEY,
            "provider": "ycloud",
            "kind": kind,
            "index": index,
            "stage": stages.get(kind, "store_media"),
            "source": Source(topic="media", partition=3, offset=7),
            "at": NOW,
            **fields,
        }
    )


def opened(of: EnrichedMessage, generation: int = 0) -> Enrichment:
    return enrichment("opened", generation=generation, snapshot=encode(of), source=of.source)


def stored(index: int = 0, **fields: Any) -> Enrichment:
    where = f"media/acme/{index}.jpg"
    return enrichment(
        "stored",
        index,
        **{
            "object_key": where,
            "url": f"/{where}",
            "mime_type": "image/jpeg",
            "bytes": 48_211,
            "sha256": "ab" * 32,
            **fields,
        },
    )


def media_job(**fields: Any) -> MediaJob:
    return MediaJob(
        **{
            "tenant_id": TENANT,
            "message_key": KEY,
            "provider": "ycloud",
            "endpoint_id": "ep-1",
            "index": 0,
            "type": "image",
            "url": "https://api.ycloud.com/v2/whatsapp/media/download/1?sig=x",
            "occurred_at": NOW,
            "received_at": NOW,
            **fields,
        }
    )


def vision_job(**fields: Any) -> VisionJob:
    return VisionJob(**{**_stored_file("jpg", "image/jpeg"), **fields})


def audio_job(**fields: Any) -> AudioJob:
    return AudioJob(**{**_stored_file("ogg", "audio/ogg"), **fields})


def _stored_file(extension: str, mime_type: str) -> Mapping[str, Any]:
    return {
        "tenant_id": TENANT,
        "message_key": MessageKey(KEY),
        "provider": "ycloud",
        "index": 0,
        "object_key": f"media/acme/0.{extension}",
        "sha256": "ab" * 32,
        "mime_type": mime_type,
        "bytes": 48_211,
    }
