"""The direct way in: a message a service already holds, as JSON of `POST /chat`."""

from typing import Any, get_args

from connectors.providers.adapter import (
    Document,
    Unreadable,
    identified,
    identifier,
    kind_of,
    link,
    may_be_moment,
    moment,
    must_be_keyed,
    name_of,
    parse,
    part,
    parts,
    present,
    text,
)
from schemas.keys import PROVIDER_PATTERN, body_id, conversation_part, is_provider_id
from schemas.media import is_sound
from schemas.outcomes import Quarantine, Skip
from schemas.records import AttachmentType, ChatMessage, FoundAttachment, RawMessage
from schemas.text import storable

MEDIA_TYPES = tuple(
    name for name in get_args(AttachmentType) if name not in ("UNKNOWN", "location", "contact")
)
MAX_MEDIA = 50
_CONVERSATION_CHARS = 400
_NAMED_CHARS = 64
_FIELDS = frozenset(
    {
        "provider",
        "provider_message_id",
        "conversation_id",
        "sender",
        "text",
        "media",
        "occurred_at",
        "direction",
    }
)


class Direct:
    name = "direct"

    def identify(self, body: bytes) -> tuple[str, ...]:
        try:
            return identified(body, identifier(parse(body).get("provider_message_id")))
        except Unreadable:
            return (body_id(body),)

    def read(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        try:
            return _read(raw)
        except Unreadable as unreadable:
            return unreadable.verdict


def _read(raw: RawMessage) -> ChatMessage | Skip | Quarantine:
    document = parse(raw.body)
    found = identifier(document.get("provider_message_id"))
    if found is None:
        return Quarantine("identifier_missing", "no provider_message_id")
    must_be_keyed(raw, found)
    errors = validate(document)
    if errors:
        return Quarantine("field_invalid", "; ".join(errors)[:300])
    sender = part(document, "sender")
    attachments = tuple(_attachment(one) for one in parts(document, "media"))
    outbound = document.get("direction") == "outbound"
    content = text(document, "text")
    return ChatMessage(
        provider_message_id=found,
        conversation_id=conversation_part(str(document["conversation_id"])),
        role="assistant" if outbound else "user",
        direction="outbound" if outbound else "inbound",
        kind=kind_of(attachments, "text" if content else "unsupported"),
        content=content,
        occurred_at=moment(document.get("occurred_at")),
        sender_id=identifier(sender.get("id")),
        sender_name=name_of(sender, "name"),
        attachments=attachments,
        attributes=present(conversation_id=name_of(document, "conversation_id")),
    )


def _attachment(one: Document) -> FoundAttachment:
    mime_type = name_of(one, "mime_type")
    kind: Any = one.get("type")
    return FoundAttachment(
        type="audio" if is_sound(mime_type) else kind,
        url=link(one, "url"),
        mime_type=mime_type,
        filename=name_of(one, "filename"),
    )


def validate(document: object) -> list[str]:
    """What is wrong with a body of `POST /chat`, for the person who sends it; empty when nothing is."""
    if not isinstance(document, dict):
        return ["the body must be a JSON object"]
    errors = [
        f"{storable(str(name))[:_NAMED_CHARS]}: unknown field"
        for name in sorted(map(str, set(document) - _FIELDS))[:10]
    ]
    provider, message_id = document.get("provider"), document.get("provider_message_id")
    if not isinstance(provider, str) or not PROVIDER_PATTERN.fullmatch(provider):
        errors.append("provider: required, [a-z0-9_]+, at most 32 characters")
    if not is_provider_id(message_id):
        errors.append("provider_message_id: required, printable text of at most 512 characters")
    conversation = document.get("conversation_id")
    if not isinstance(conversation, str) or not 0 < len(conversation) <= _CONVERSATION_CHARS:
        errors.append(
            f"conversation_id: required, text of at most {_CONVERSATION_CHARS} characters"
        )
    sender = document.get("sender")
    if not isinstance(sender, dict) or identifier(sender.get("id")) is None:
        errors.append("sender.id: required")
    elif sender.get("name") is not None and not isinstance(sender["name"], str):
        errors.append("sender.name: must be text")
    errors += _about_content(document)
    if document.get("occurred_at") is not None and not may_be_moment(document["occurred_at"]):
        errors.append("occurred_at: must be an RFC 3339 time")
    if document.get("direction") not in (None, "inbound", "outbound"):
        errors.append("direction: inbound or outbound")
    return errors


def _about_content(document: dict[str, Any]) -> list[str]:
    said, media = document.get("text"), document.get("media")
    errors = []
    if said is not None and not isinstance(said, str):
        errors.append("text: must be text")
    if media is not None and (not isinstance(media, list) or len(media) > MAX_MEDIA):
        errors.append(f"media: must be an array of at most {MAX_MEDIA}")
    elif not said and not media:
        errors.append("text or media: one of them is required")
    for index, one in enumerate(media if isinstance(media, list) else ()):
        if not isinstance(one, dict):
            errors.append(f"media[{index}]: must be an object")
            continue
        if one.get("type") not in MEDIA_TYPES:
            errors.append(f"media[{index}].type: one of {', '.join(MEDIA_TYPES)}")
        if link(one, "url") is None:
            errors.append(
                f"media[{index}].url: required, an http(s) address of at most 8192 characters"
            )
        errors += [
            f"media[{index}].{name}: must be text"
            for name in ("mime_type", "filename")
            if not isinstance(one.get(name), str | None)
        ]
    return errors[:50]
