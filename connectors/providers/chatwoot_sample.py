"""Sample traffic as Chatwoot sends it."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from connectors.providers.samples import Sample, SampleFile

CHATWOOT_ACCOUNT, CHATWOOT_CONVERSATION, CHATWOOT_CUSTOMER = 7, "41", "9101"


def chatwoot(
    text: str | None,
    file: SampleFile | None,
    *,
    what: str,
    conversation: int | str = CHATWOOT_CONVERSATION,
    customer: str = CHATWOOT_CUSTOMER,
    outbound: bool = False,
) -> Sample:
    """A message as Chatwoot delivers it.

    `conversation` is its number, or `account~number`. `customer` is the contact's id.
    """
    account, _, talk = str(conversation).rpartition("~")
    account = account or str(CHATWOOT_ACCOUNT)
    number, now = (
        uuid.uuid4().int % 10**12,
        datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
    agent = {"id": 21, "name": "Demo Agent", "type": "user"}
    contact = {"id": _number(customer), "name": "Demo Customer", "phone_number": "+15550100002"}
    event: dict[str, Any] = {
        "event": "message_created",
        "account": {"id": _number(account), "name": "Demo"},
        "id": number,
        "content": text,
        "content_type": "text",
        "content_attributes": {},
        "message_type": "outgoing" if outbound else "incoming",
        "private": False,
        "created_at": now,
        "conversation": {
            "id": _number(talk),
            "channel": "Channel::Whatsapp",
            "contact_inbox": {"source_id": "15550100002"},
        },
        "inbox": {"id": 31, "name": "Demo WhatsApp"},
        "sender": agent if outbound else contact,
    }
    if file is not None:
        event["attachments"] = [_attachment(file, number, account)]
    body = json.dumps(event).encode()
    return Sample(what, "chatwoot", body, f"{account}/{number}", f"{account}~{talk}")


def _attachment(file: SampleFile, message: int, account: str) -> dict[str, Any]:
    return {
        "id": message + 1,
        "message_id": message,
        "file_type": file.kind,
        "account_id": _number(account),
        "data_url": file.url,
    }


def _number(text: str) -> int | str:
    """An id as a number, as Chatwoot sends it.

    Another text is sent unchanged, as a test.
    """
    return int(text) if text.isascii() and text.isdigit() else text
