"""YCloud: events of WhatsApp and Messenger, with one event per request.

Contract: docs.ycloud.com, webhook-payload-examples.
"""

import base64
import binascii
import re
from typing import Any, TypedDict

import msgspec

from connectors.providers.adapter import (
    Document,
    conversation,
    identifier,
    kind_of,
    link,
    message_id,
    moment,
    must_be_keyed,
    name_of,
    parse,
    part,
    phone,
    text,
    who,
    whole,
)
from connectors.providers.downloads import DownloadCandidate, FileLink
from connectors.providers.numbers import forms_of
from connectors.providers.provider import Provider
from connectors.providers.samples import Sample, SampleMessage
from connectors.providers.ycloud_attributes import (
    attributes_of,
    cards,
    interactive_reply,
    user_fields,
    users,
)
from connectors.providers.ycloud_events import HISTORY, INBOUND, MESSAGES, STATUSES
from connectors.providers.ycloud_links import candidates
from connectors.providers.ycloud_sample import YCLOUD_CUSTOMER, ycloud
from schemas.media import is_sound
from schemas.outcomes import Quarantine, Skip
from schemas.records import AttachmentType, ChatMessage, FoundAttachment, MessageKind, RawMessage
from schemas.signatures import Claim, ClaimedSignature, Examined, judge_timed, timed_signature

_KNOWN_FAMILIES = (
    "whatsapp.group.", "whatsapp.call.", "whatsapp.business_account.", "whatsapp.phone_number.",
    "whatsapp.template.", "whatsapp.flow.", "whatsapp.payment.", "whatsapp.user.", "contact.",
    "sms.", "email.", "voice.", "messenger.",
)  # fmt: skip
_FILES: dict[str, AttachmentType] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "voice": "audio",
    "document": "document",
    "sticker": "sticker",
}
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),s=([0-9a-f]{64})")
_HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class _BriefMessage(TypedDict, total=False):
    wamid: Any
    id: Any


class _YcloudBrief(TypedDict, total=False):
    """The fields that identify an inbound message, or an event without a message."""

    type: Any
    id: Any
    whatsappInboundMessage: _BriefMessage
    messengerInboundMessage: _BriefMessage


class YCloud(Provider):
    name = "ycloud"
    brief = msgspec.json.Decoder(_YcloudBrief)

    def is_key_brief(self, event: Document) -> bool:
        kind = event.get("type")
        return isinstance(kind, str) and (kind in INBOUND or kind not in MESSAGES)

    def event_key(self, event: Document) -> str | None:
        return _event_key(event)

    def read_event(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        return _read(raw)

    def check_signature(
        self, claim: Claim, secrets: tuple[str, ...], *, age_seconds: float
    ) -> Examined:
        """Checks the signature, which may be up to `age_seconds` old.

        It is not documented whether a retry is signed with a new time.
        """
        return judge_timed(claim, _claimed_signature(claim), secrets, age_seconds)

    def sign(self, secret: str, body: bytes, now: int) -> dict[str, str]:
        return {"YCloud-Signature": f"t={now},s={timed_signature(secret, body, str(now))}"}

    def candidates(self, link: FileLink) -> tuple[DownloadCandidate, ...]:
        return candidates(link)

    def sample(self, message: SampleMessage) -> Sample:
        """A sample. Its conversation is the customer's number, or `business~customer`."""
        number = message.conversation or (message.customer or YCLOUD_CUSTOMER).removeprefix("+")
        return ycloud(
            message.text,
            message.file,
            what=message.what,
            conversation=number,
            outbound=message.outbound,
        )


def _claimed_signature(claim: Claim) -> ClaimedSignature:
    """Reads `YCloud-Signature: t=<unix>,s=<hex>`, which is over `t.body`.

    Its key is the whole secret, including `whsec_`.
    """
    header = claim.headers.get("ycloud-signature")
    if header is None:
        return "missing"
    match = _SIGNATURE.fullmatch(header)
    return "malformed" if match is None else (match[1], match[2])


def _event_key(event: Document) -> str | None:
    """The wamid of a WhatsApp message, or the `id` of a Messenger message, which has no wamid.

    Any other event is identified by its own id, so that a status can never claim the key of
    its message. The same applies to a WhatsApp message without a wamid: YCloud's `id` of a
    message differs between the events about it, so a later event would create a second row.
    """
    kind = event.get("type")
    if isinstance(kind, str) and kind in MESSAGES:
        message, _ = _message_of(event, kind)
        if not _is_mere_update(kind, message):
            return _message_key(kind, message) or message_id(event.get("id"))
    return message_id(event.get("id"))


def _message_key(kind: str, message: Document) -> str | None:
    found = message_id(message.get("wamid"))
    if found is None and kind.startswith("messenger."):
        return message_id(message.get("id"))
    return found


def _message_of(event: Document, kind: str) -> tuple[Document, bool]:
    """The message in an event, and whether the business sent it.

    History contains messages in both directions, distinguished by the object's name.
    """
    if kind in INBOUND:
        return part(event, INBOUND[kind]), False
    received = part(event, "whatsappInboundMessage")
    sent = part(event, "whatsappMessage") or part(event, "whatsappEchoMessage")
    if kind in HISTORY:
        return (received, False) if received else (sent, True)
    return sent or received, True


def _is_mere_update(kind: str, message: Document) -> bool:
    """True for the update of an echo, which has a status and neither type nor content."""
    return kind == "whatsapp.echo_message.updated" and not name_of(message, "type")


def _read(raw: RawMessage) -> ChatMessage | Skip | Quarantine:
    event = parse(raw.body)
    kind = event.get("type")
    if not isinstance(kind, str) or not kind:
        return Quarantine("event_missing", "no type")
    if kind in STATUSES:
        return Skip("delivery_status")
    if kind not in MESSAGES:
        return Skip("not_a_message") if kind.startswith(_KNOWN_FAMILIES) else Skip("unknown_event")
    message, outbound = _message_of(event, kind)
    if not message:
        return Quarantine("payload_missing", "the event names a message that is not there")
    is_update = _is_mere_update(kind, message)
    named = None if is_update else _message_key(kind, message)
    found = named or message_id(event.get("id"))  # the same as `_event_key`
    if found is None:
        return Quarantine("identifier_missing", "neither the event nor its message has an id")
    must_be_keyed(raw, found)
    message_type = name_of(message, "type") or ""
    if message_type == "system":
        return Skip("system_event")
    if message_type == "request_welcome":
        return Skip("welcome_request")
    if is_update:
        return Skip("echo_without_content")
    if named is None:
        return Quarantine("identifier_missing", "the message has no wamid")
    return _message(found, event, message, message_type, outbound=outbound)


def _message(
    found: str, event: Document, message: Document, message_type: str, *, outbound: bool
) -> ChatMessage:
    ids = users(message, outbound=outbound)
    conversation_id, aliases = _conversation(message, outbound=outbound)
    attachments = _attachments(message, message_type)
    sender = phone(message, "from") or (ids[0] if ids and not outbound else None)
    return ChatMessage(
        provider_message_id=found,
        conversation_id=conversation_id,
        aliases=aliases,
        role="agent" if outbound else "user",
        direction="outbound" if outbound else "inbound",
        kind=_kind(message_type, attachments),
        content=_content(message, message_type),
        occurred_at=moment(message.get("sendTime"))
        or moment(message.get("createTime"))
        or moment(event.get("createTime")),
        sender_id=sender or who(message, "from"),
        sender_name=None if outbound else name_of(part(message, "customerProfile"), "name"),
        attachments=attachments,
        attributes=attributes_of(event, message, message_type, ids),
        is_history=name_of(event, "type") in HISTORY,
    )


def _conversation(message: Document, *, outbound: bool) -> tuple[str, tuple[str, ...]]:
    """The conversation id, and its aliases.

    It is `group~<id>`, or `<business>~<customer>` with the customer's phone number or else a
    user id. The other forms of these are aliases. The id of a group has two parts too,
    because an id with one part would belong to `POST /chat`.
    """
    group = whole(message, "groupId")
    if group is not None:
        return conversation("group", group), ()
    business, customer = ("from", "to") if outbound else ("to", "from")
    ours = _names(message, business) or [whole(message, "wabaId")]
    fields = user_fields(outbound=outbound)
    ids = [found for name in fields if name in message and (found := whole(message, name))]
    number = phone(message, customer)
    theirs: list[str | None] = [*(forms_of(number) if number else ()), *ids]
    theirs = theirs or [whole(message, customer)]
    if len(ours) == len(theirs) == 1:  # nearly always
        return conversation(ours[0], theirs[0]), ()
    main, *others = dict.fromkeys(conversation(our, name) for our in ours for name in theirs)
    return main, tuple(others)


def _names(message: Document, name: str) -> list[str | None]:
    """All forms of a phone number, beginning with the one in the field; any other id unchanged."""
    number = phone(message, name)
    if number:
        return list(forms_of(number))
    found = whole(message, name)
    return [found] if found else []


def _attachments(message: Document, message_type: str) -> tuple[FoundAttachment, ...]:
    if message_type == "location":
        return (FoundAttachment(type="location", reason="no_file"),)
    if message_type == "contacts":
        return tuple(
            FoundAttachment(type="contact", reason="no_file") for _ in (cards(message) or [{}])
        )
    if message_type not in _FILES:
        return ()
    name = "audio" if message_type == "voice" else message_type
    file = part(message, message_type) or part(message, name)
    mime_type = name_of(file, "mime_type")
    url, media_id = link(file, "link") or link(file, "url"), identifier(file.get("id"))
    return (
        FoundAttachment(
            type="audio" if is_sound(mime_type) else _FILES[message_type],
            url=url,
            media_id=media_id,
            mime_type=mime_type,
            filename=name_of(file, "filename"),
            declared_sha256=_hex_digest(name_of(file, "sha256")),
            reason=None if url or media_id else "media_unavailable",
        ),
    )


def _hex_digest(declared: str | None) -> str | None:
    """The declared SHA-256 in hexadecimal.

    YCloud sends base64; hexadecimal is accepted too.
    """
    if declared is None:
        return None
    if _HEX_SHA256.fullmatch(declared):
        return declared.lower()
    try:
        raw = base64.b64decode(declared, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == 32 else None


def _kind(message_type: str, attachments: tuple[FoundAttachment, ...]) -> MessageKind:
    match message_type:
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


def _content(message: Document, message_type: str) -> str | None:
    match message_type:
        case "text":
            return text(part(message, "text"), "body")
        case "interactive":
            reply = interactive_reply(message)
            return text(reply, "title") or text(reply, "body")
        case "button":
            return text(part(message, "button"), "text")
        case "order":
            return text(part(message, "order"), "text")
        case "reaction":
            return text(part(message, "reaction"), "emoji")
        case _:
            return text(part(message, message_type), "caption")
