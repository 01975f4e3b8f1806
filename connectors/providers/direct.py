"""Reads the JSON of `POST /chat`, by which a service sends a message that it already has."""

from collections.abc import Set
from itertools import islice
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
    name_of,
    parse,
    part,
    parts,
    present,
    text,
)
from schemas.chat import ChatAccepted, ChatRefused
from schemas.keys import (
    CONVERSATION_CHARS,
    DIRECT_ID_PREFIX,
    PROVIDER_PATTERN,
    body_id,
    direct_conversation_id,
    is_provider_id,
    split_message_key,
)
from schemas.media import is_sound
from schemas.outcomes import Quarantine, Skip
from schemas.records import AttachmentType, ChatMessage, FoundAttachment, RawMessage
from schemas.text import storable

MEDIA_TYPES = tuple(
    name for name in get_args(AttachmentType) if name not in ("UNKNOWN", "location", "contact")
)
MAX_MEDIA = 50
_MAX_ERRORS = 50
_MAX_UNKNOWN_FIELDS = 10
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
    """The adapter of `POST /chat`. `reserved` are the providers that send webhooks.

    A message may name such a provider, because services forward messages that they got from
    one. The id in its key then gets a prefix, so that nobody with a key for `POST /chat` can
    claim a message of the provider.
    """

    name = "direct"

    def __init__(self, reserved: Set[str] = frozenset()) -> None:
        self._reserved = reserved

    def accept(self, body: bytes) -> ChatAccepted | ChatRefused:
        """Checks a body for the receiver.

        `read` makes a message of each body accepted here.
        """
        try:
            document = parse(body)
        except Unreadable as unreadable:
            verdict = unreadable.verdict
            assert isinstance(verdict, Quarantine)
            if verdict.reason == "not_an_object":
                return ChatRefused(("the body must be a JSON object",))
            return ChatRefused((verdict.detail,), is_json=verdict.reason != "not_json")
        errors = validate(document)
        if errors:
            return ChatRefused(tuple(errors))
        provider, found = document["provider"], document["provider_message_id"]
        return ChatAccepted(provider, self._id_in_key(provider, found))

    def identify(self, body: bytes) -> tuple[str, ...]:
        try:
            document = parse(body)
        except Unreadable:
            return (body_id(body),)
        found = identifier(document.get("provider_message_id"))
        provider = document.get("provider")
        if found is None or not isinstance(provider, str):
            return identified(body, found)
        return (self._id_in_key(provider, found),)

    def read(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        try:
            return self._read(raw)
        except Unreadable as unreadable:
            return unreadable.verdict

    def _read(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        document = parse(raw.body)
        found = identifier(document.get("provider_message_id"))
        if found is None:
            return Quarantine("identifier_missing", "no provider_message_id")
        in_key = split_message_key(raw.message_key)[2]
        # The topic may still contain records from before these ids had a prefix.
        if in_key not in (found, self._id_in_key(raw.provider, found)):
            return Quarantine("identifier_mismatch", "the body's id is not the key's")
        errors = validate(document)
        if errors:
            return Quarantine("field_invalid", "; ".join(errors)[:300])
        return _message(in_key, document)

    def _id_in_key(self, provider: str, found: str) -> str:
        return f"{DIRECT_ID_PREFIX}{found}" if provider in self._reserved else found


def _message(in_key: str, document: Document) -> ChatMessage:
    sender = part(document, "sender")
    attachments = tuple(_attachment(one) for one in parts(document, "media"))
    outbound = document.get("direction") == "outbound"
    content = text(document, "text")
    return ChatMessage(
        provider_message_id=in_key,
        conversation_id=direct_conversation_id(document["conversation_id"], outbound=outbound),
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
    """The errors in a body of `POST /chat`, as sentences for its sender.

    Empty if it is valid.
    """
    if not isinstance(document, dict):
        return ["the body must be a JSON object"]
    errors = [
        f"{storable(str(name))[:_NAMED_CHARS]}: unknown field"
        for name in islice((one for one in document if one not in _FIELDS), _MAX_UNKNOWN_FIELDS)
    ]
    provider, message_id = document.get("provider"), document.get("provider_message_id")
    if not isinstance(provider, str) or not PROVIDER_PATTERN.fullmatch(provider):
        errors.append("provider: required, [a-z0-9_]+, at most 32 characters")
    if not is_provider_id(message_id):
        errors.append("provider_message_id: required, printable text of at most 512 characters")
    conversation = document.get("conversation_id")
    if not isinstance(conversation, str) or not 0 < len(conversation) <= CONVERSATION_CHARS:
        errors.append(f"conversation_id: required, text of at most {CONVERSATION_CHARS} characters")
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
    content, media = document.get("text"), document.get("media")
    errors = []
    if content is not None and not isinstance(content, str):
        errors.append("text: must be text")
    if media is not None and (not isinstance(media, list) or len(media) > MAX_MEDIA):
        return [*errors, f"media: must be an array of at most {MAX_MEDIA}"]
    if not content and not media:
        errors.append("text or media: one of them is required")
    for index, one in enumerate(media or ()):
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
    return errors[:_MAX_ERRORS]
