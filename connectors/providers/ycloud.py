"""YCloud: WhatsApp events, one a request. Contract: docs.ycloud.com, webhook-payload-examples and the kit's webhook-contract."""

import base64
import binascii
from typing import Any

from connectors.providers.adapter import (
    Document,
    Unreadable,
    conversation,
    digits,
    identified,
    identifier,
    is_audio,
    kind_of,
    link,
    moment,
    must_be_keyed,
    name_of,
    parse,
    part,
    parts,
    present,
    text,
)
from schemas.keys import body_id, conversation_part
from schemas.outcomes import Quarantine, Skip
from schemas.records import AttachmentType, ChatMessage, FoundAttachment, Kind, RawMessage
from schemas.text import storable_deep

INBOUND = frozenset({"whatsapp.inbound_message.received"})
ECHOES = frozenset({"whatsapp.smb.message.echoes", "whatsapp.smb.message.created", "whatsapp.echo_message.created", "whatsapp.echo_message.updated"})
HISTORY = frozenset({"whatsapp.smb.history"})
MESSAGES = INBOUND | ECHOES | HISTORY
STATUSES = frozenset(
    {"whatsapp.message.updated", "messenger.message.updated", "sms.message.updated", "voice.message.updated", "email.delivery.updated"}
)
_KNOWN_FAMILIES = (
    "whatsapp.group.", "whatsapp.call.", "whatsapp.business_account.", "whatsapp.phone_number.", "whatsapp.template.",
    "whatsapp.flow.", "whatsapp.payment.", "whatsapp.user.", "contact.", "sms.", "email.", "voice.", "messenger.",
)  # fmt: skip
_FILES: dict[str, AttachmentType] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "voice": "audio",
    "document": "document",
    "sticker": "sticker",
}


class YCloud:
    name = "ycloud"

    def identify(self, body: bytes) -> tuple[str, ...]:
        try:
            return identified(body, _event_key(parse(body)))
        except Unreadable:
            return (body_id(body),)

    def read(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        try:
            return _read(raw)
        except Unreadable as unreadable:
            return unreadable.verdict


def _event_key(event: Document) -> str | None:
    """wamid of a message; of every other event its own id, so that a status can never claim its message's key."""
    if name_of(event, "type") in MESSAGES:
        message = _message_of(event)
        return identifier(message.get("wamid")) or identifier(message.get("id")) or identifier(event.get("id"))
    return identifier(event.get("id"))


def _message_of(event: Document) -> Document:
    return part(event, "whatsappInboundMessage") or part(event, "whatsappMessage") or part(event, "whatsappEchoMessage")


def _read(raw: RawMessage) -> ChatMessage | Skip | Quarantine:
    event = parse(raw.body)
    kind = event.get("type")
    if not isinstance(kind, str) or not kind:
        return Quarantine("event_missing", "no type")
    if kind in STATUSES:
        return Skip("delivery_status")
    if kind not in MESSAGES:
        return Skip("not_a_message") if kind.startswith(_KNOWN_FAMILIES) else Skip("unknown_event")
    message = _message_of(event)
    if not message:
        return Quarantine("payload_missing", "the event names a message that is not there")
    found = _event_key(event)
    if found is None:
        return Quarantine("identifier_missing", "neither wamid nor id")
    must_be_keyed(raw, found)
    said = name_of(message, "type") or ""
    if said == "system":
        return Skip("system_event")
    if said == "request_welcome":
        return Skip("welcome_request")
    if kind == "whatsapp.echo_message.updated" and not said:
        return Skip("echo_without_content")
    outbound = kind in ECHOES or (kind in HISTORY and "whatsappInboundMessage" not in event)
    return _message(found, event, message, said, outbound=outbound)


def _message(found: str, event: Document, message: Document, said: str, *, outbound: bool) -> ChatMessage:
    conversation_id, aliases = _conversation(message, outbound=outbound)
    attachments = _attachments(message, said)
    profile = part(message, "customerProfile")
    sender = digits(name_of(message, "from"))
    return ChatMessage(
        provider_message_id=found,
        conversation_id=conversation_id,
        aliases=aliases,
        role="agent" if outbound else "user",
        direction="outbound" if outbound else "inbound",
        kind=_kind(said, attachments),
        content=_content(message, said),
        occurred_at=moment(message.get("sendTime")) or moment(message.get("createTime")) or moment(event.get("createTime")),
        sender_id=sender if outbound else sender or name_of(message, "fromUserId"),
        sender_name=None if outbound else name_of(profile, "name"),
        attachments=attachments,
        attributes=_attributes(event, message, said),
        is_history=name_of(event, "type") in HISTORY,
    )


def _conversation(message: Document, *, outbound: bool) -> tuple[str, tuple[str, ...]]:
    """The group, or `<business>~<customer>` by phone, else by user id; the other form is an alias."""
    group = identifier(message.get("groupId"))
    if group is not None:
        return conversation_part(group)[:400], ()
    business, customer = ("from", "to") if outbound else ("to", "from")
    users = ("toUserId", "recipientUserId", "toParentUserId") if outbound else ("fromUserId", "fromParentUserId")
    ours = digits(name_of(message, business)) or name_of(message, business) or name_of(message, "wabaId")
    phone = digits(name_of(message, customer))
    user = next((found for name in users if (found := name_of(message, name))), None)
    main = conversation(ours, phone or user or name_of(message, customer))
    return main, (conversation(ours, user),) if phone and user else ()


def _attachments(message: Document, said: str) -> tuple[FoundAttachment, ...]:
    if said == "location":
        return (FoundAttachment(type="location", reason="no_file"),)
    if said == "contacts":
        return tuple(FoundAttachment(type="contact", reason="no_file") for _ in (parts(message, "contacts") or [{}]))
    if said not in _FILES:
        return ()
    file = part(message, said) or part(message, "audio" if said == "voice" else said)
    mime_type = name_of(file, "mime_type")
    url = link(file, "link") or link(file, "url")
    return (
        FoundAttachment(
            type="audio" if is_audio(mime_type) else _FILES[said],
            url=url,
            media_id=identifier(file.get("id")),
            mime_type=mime_type,
            filename=name_of(file, "filename"),
            declared_sha256=_hex_digest(name_of(file, "sha256")),
            reason=None if url else "media_unavailable",
        ),
    )


def _hex_digest(declared: str | None) -> str | None:
    """YCloud declares base64; some events were seen with hex."""
    if declared is None:
        return None
    try:
        raw = base64.b64decode(declared, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == 32 else None


def _kind(said: str, attachments: tuple[FoundAttachment, ...]) -> Kind:
    match said:
        case "text":
            return "text"
        case "interactive" | "button":
            return "interactive"
        case "reaction":
            return "reaction"
        case "order":
            return "order"
        case _ if attachments:
            return kind_of(attachments)
        case _:
            return "unsupported"


def _content(message: Document, said: str) -> str | None:
    match said:
        case "text":
            return text(part(message, "text"), "body")
        case "interactive":
            reply = _interactive_reply(message)
            return text(reply, "title") or text(reply, "body") or text(reply, "response")
        case "button":
            return text(part(message, "button"), "text") or text(part(message, "button"), "payload")
        case "order":
            return text(part(message, "order"), "text")
        case "reaction":
            return text(part(message, "reaction"), "emoji")
        case _:
            return text(part(message, said), "caption")


def _interactive_reply(message: Document) -> Document:
    interactive = part(message, "interactive")
    return part(interactive, name_of(interactive, "type") or "") or next(
        (part(interactive, name) for name in ("button_reply", "list_reply", "nfm_reply", "call_permission_reply") if part(interactive, name)), {}
    )


def _attributes(event: Document, message: Document, said: str) -> dict[str, Any]:
    """A white list: what a bot may need and the columns do not hold."""
    context = part(message, "context")
    referral = part(message, "referral")
    attributes = present(
        event_id=name_of(event, "id"),
        event_type=name_of(event, "type"),
        group_id=name_of(message, "groupId"),
        user_id=name_of(message, "fromUserId") or name_of(message, "toUserId"),
        reply_to=name_of(context, "id"),
        forwarded=bool(context.get("forwarded")) or None,
        username=name_of(part(message, "customerProfile"), "username"),
        referral=present(
            **{name: text(referral, name, 2_000) for name in ("source_url", "source_type", "source_id", "headline", "body", "ctwa_clid")}
        ),
    )
    match said:
        case "interactive":
            reply = _interactive_reply(message)
            attributes["interactive"] = present(
                **{name: text(reply, name, 20_000) for name in ("id", "description", "name", "response_json", "response", "expiration_timestamp")}
            )
        case "button":
            attributes["button"] = present(payload=text(part(message, "button"), "payload", 2_000))
        case "reaction":
            reaction = part(message, "reaction")
            attributes["reaction"] = present(message_id=name_of(reaction, "message_id"), removed=not reaction.get("emoji") or None)
        case "order":
            order = part(message, "order")
            items = [
                present(**{name: text(item, name, 200) for name in ("product_retailer_id", "quantity", "item_price", "currency")})
                for item in parts(order, "product_items")[:200]
            ]
            attributes["order"] = present(catalog_id=name_of(order, "catalog_id"), items=items)
        case "location":
            place = part(message, "location")
            attributes["location"] = present(**{name: text(place, name, 1_000) for name in ("latitude", "longitude", "name", "address", "url")})
        case "contacts":
            attributes["contacts"] = [_contact(card) for card in parts(message, "contacts")[:50]]
        case "text" | "image" | "video" | "audio" | "voice" | "document" | "sticker":
            pass
        case _:
            attributes["unsupported"] = present(
                type=said or None,
                detail=name_of(part(message, "unsupported"), "type"),
                errors=[present(code=text(error, "code", 40), title=text(error, "title", 200)) for error in parts(message, "errors")[:10]],
            )
    safe = storable_deep(attributes)
    assert isinstance(safe, dict)
    return safe


def _contact(card: Document) -> dict[str, Any]:
    return present(
        name=name_of(part(card, "name"), "formatted_name"),
        phones=[present(phone=name_of(phone, "phone"), wa_id=name_of(phone, "wa_id")) for phone in parts(card, "phones")[:20]],
    )
