"""Webhook events for tests.

Each function builds a valid event, with the fields that matter to the test.
"""

from typing import Any

from connectors.providers import catalogue
from schemas.outcomes import Forward, Quarantine, Skip
from schemas.records import ChatMessage, EnrichedMessage
from streams.stages.dedupe import dedupe
from tests.unit.records import NOW, arrival, body, payload, raw

BUSINESS, CUSTOMER = "+1 (415) 555-0123", "+1 202 555 0147"
PAIR = "14155550123~12025550147"


def ycloud(type: str = "whatsapp.inbound_message.received", /, **message: Any) -> dict[str, Any]:
    name = (
        "whatsappInboundMessage"
        if "inbound" in type or type == "whatsapp.smb.history"
        else "whatsappMessage"
    )
    ends = (
        {"from": CUSTOMER, "to": BUSINESS}
        if name == "whatsappInboundMessage"
        else {"from": BUSINESS, "to": CUSTOMER}
    )
    return {
        "id": "evt_1",
        "type": type,
        "apiVersion": "v2",
        name: {"wamid": "wamid.1", **ends, **message},
    }


def inbound(**message: Any) -> dict[str, Any]:
    """A YCloud message of a customer; without a given type it is a text."""
    said = message if "type" in message else {"type": "text", "text": {"body": "Hola"}, **message}
    return ycloud(**said)


def file(said: str, **fields: Any) -> dict[str, Any]:
    return {"type": said, said: {"link": "https://api.ycloud.com/f", "id": "9", **fields}}


def chatwoot(*attachments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    event = {**payload("chatwoot", "api_channel_text_2026_02.json"), **fields}
    return (
        {**event, "content": fields.get("content"), "attachments": list(attachments)}
        if attachments
        else event
    )


def verdict(event: dict[str, Any]) -> ChatMessage | Skip | Quarantine:
    provider = "chatwoot" if "event" in event else "ycloud"
    (provider_id,) = catalogue.identify(provider, body(event))
    return catalogue.read(raw(provider, provider_id, body(event)))


def understood(event: dict[str, Any]) -> ChatMessage:
    found = verdict(event)
    assert isinstance(found, ChatMessage), found
    return found


def text_of(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "wamid": "wamid.1",
        "from": CUSTOMER,
        "to": BUSINESS,
        "type": "text",
        "text": {"body": "Hola"},
        **fields,
    }


def key_of(event: dict[str, Any]) -> str:
    (found,) = catalogue.identify("chatwoot" if "event" in event else "ycloud", body(event))
    return found


def row_of(event: dict[str, Any]) -> EnrichedMessage:
    """The first version of the message that an event opens."""
    provider = "chatwoot" if "event" in event else "ycloud"
    became = dedupe(
        arrival(raw(provider, key_of(event), body(event))),
        claimed=set(),
        read=catalogue.read,
        now=NOW,
    )
    assert isinstance(became, Forward), became
    message = became.outputs[0].record
    assert isinstance(message, EnrichedMessage)
    return message
