"""Records as they arrive, with bodies of tests/payloads and ids of their own.

Every tenth is a repeated delivery.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.rig import BenchRecord
from schemas.codec import encode
from schemas.headers import Routing, new_traceparent
from schemas.keys import TenantId, message_key
from schemas.records import RawMessage

TENANT = TenantId("bench")
CONVERSATIONS = 2_000
_PAYLOADS = Path(__file__).parents[1] / "tests" / "payloads"
_TEXT, _IMAGE = (
    ("ycloud/text_plain", "chatwoot/whatsapp_text_cloud_2026_04"),
    ("ycloud/image_caption", "chatwoot/whatsapp_image_caption"),
)
_MIX = (*_TEXT, *_TEXT, *_TEXT, *_TEXT, *_IMAGE)
"""One message in five is an image; half of all come from each provider."""


def with_duplicates(count: int, share: float = 0.1) -> Iterator[int]:
    """Yields numbers from 0 on.

    A `share` of them repeats an earlier one: half of those one of the last 50, half any
    earlier one.
    """
    dice = random.Random(7)
    fresh = 0
    for _ in range(count):
        chance = dice.random()
        if fresh <= 50 or chance >= share:
            yield fresh
            fresh += 1
        else:
            yield fresh - 1 - dice.randrange(50 if chance < share / 2 else fresh)


def is_image(number: int) -> bool:
    """True if message `number` has a picture.

    dedupe then writes three records for it, otherwise one.
    """
    return _MIX[number % len(_MIX)] in _IMAGE


def webhook(number: int) -> tuple[str, str, bytes]:
    """Returns provider, provider message id and body of message `number`."""
    name = _MIX[number % len(_MIX)]
    provider = name.partition("/")[0]
    document = _DOCUMENTS[name]
    if provider == "ycloud":
        message = document["whatsappInboundMessage"]
        message_id = message["wamid"] = f"wamid.HBgLMTIwMjU1NTAxNDcVAgASGCBBQzc0{number:020d}QQA="
        message["from"] = f"+1202555{number % CONVERSATIONS:04d}"
    else:
        document["id"] = number
        message_id = f"{document['account']['id']}/{number}"
        document["conversation"]["id"] = number % CONVERSATIONS
    return (
        provider,
        message_id,
        json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(),
    )


def raw(number: int, tenant: TenantId = TENANT) -> RawMessage:
    """The raw message that the receiver makes of it."""
    provider, message_id, body = webhook(number)
    return RawMessage(
        tenant_id=tenant,
        provider=provider,
        message_key=message_key(tenant, provider, message_id),
        endpoint_id="bench-endpoint",
        received_at=datetime.now(UTC),
        headers={"content-type": "application/json", "user-agent": "provider/1.0"},
        body=body,
    )


def raw_record(number: int, tenant: TenantId = TENANT) -> BenchRecord:
    """The record as the receiver writes it to the topic."""
    message = raw(number, tenant)
    routing = Routing(tenant_id=tenant, provider=message.provider, traceparent=new_traceparent())
    return BenchRecord(message.message_key.encode(), encode(message), routing.to_headers())


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_PAYLOADS / f"{name}.json").read_bytes())
    return document


_DOCUMENTS = {name: _document(name) for name in _MIX}
