"""Sample traffic as YCloud sends it."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from connectors.providers.samples import Sample, SampleFile

YCLOUD_BUSINESS, YCLOUD_CUSTOMER = "15550109999", "15550100001"


def ycloud(
    text: str | None,
    file: SampleFile | None,
    *,
    what: str,
    conversation: str = YCLOUD_CUSTOMER,
    outbound: bool = False,
) -> Sample:
    """A WhatsApp message as YCloud delivers it.

    `conversation` is the customer's number, or `business~customer`.
    """
    business, _, customer = conversation.rpartition("~")
    business = business or YCLOUD_BUSINESS
    wamid, now = (
        f"wamid.DEMO{uuid.uuid4().hex.upper()}",
        datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    )
    sender, receiver = (business, customer) if outbound else (customer, business)
    message: dict[str, Any] = {
        "id": uuid.uuid4().hex[:24],
        "wamid": wamid,
        "wabaId": "246000000000111",
        "from": f"+{sender}",
        "to": f"+{receiver}",
        "sendTime": now,
    }
    if not outbound:
        message["customerProfile"] = {"name": "Demo Customer"}
    if file is None:
        message |= {"type": "text", "text": {"body": text}}
    else:
        content = {"link": file.url, "id": uuid.uuid4().hex[:15], "mime_type": file.mime} | (
            {"caption": text} if text else {}
        )
        message |= {"type": file.kind, file.kind: content}
    kind, place = (
        ("whatsapp.smb.message.echoes", "whatsappMessage")
        if outbound
        else ("whatsapp.inbound_message.received", "whatsappInboundMessage")
    )
    event = {
        "id": f"evt_{uuid.uuid4().hex[:24]}",
        "type": kind,
        "apiVersion": "v2",
        "createTime": now,
        place: message,
    }
    conversation_id = f"{business}~{customer}"
    return Sample(what, "ycloud", json.dumps(event).encode(), wamid, conversation_id)
