"""Chatwoot: messages of many channels, with one event per request.

Contract: chatwoot/chatwoot v4.15.1, WebhookListener and Message#webhook_data.
"""

import re
from typing import Any, TypedDict

import msgspec

from connectors.providers.adapter import (
    Document,
    conversation,
    identifier,
    instance_in_key,
    kind_of,
    message_id,
    moment,
    name_of,
    own_id,
    parse,
    part,
    text,
)
from connectors.providers.attributes import is_set
from connectors.providers.briefs import brief_event
from connectors.providers.chatwoot_attributes import attributes_of, is_private
from connectors.providers.chatwoot_files import chatwoot_attachments, chatwoot_files
from connectors.providers.chatwoot_forms import submission, submission_suffix
from connectors.providers.chatwoot_sample import CHATWOOT_CONVERSATION, CHATWOOT_CUSTOMER, chatwoot
from connectors.providers.provider import Provider
from connectors.providers.samples import Sample, SampleMessage
from schemas.outcomes import Quarantine, Skip
from schemas.records import (
    ChatMessage,
    Direction,
    FoundAttachment,
    MessageKind,
    MessageRole,
    RawMessage,
)
from schemas.signatures import (
    FRESH_SECONDS,
    Claim,
    ClaimedSignature,
    Examined,
    judge_timed,
    timed_signature,
)

MESSAGE_EVENTS = frozenset({"message_created", "message_updated"})
OTHER_EVENTS = frozenset(
    {
        "conversation_created", "conversation_updated", "conversation_status_changed",
        "conversation_opened", "conversation_resolved", "conversation_typing_on",
        "conversation_typing_off", "contact_created", "contact_updated", "inbox_created",
        "inbox_updated", "webwidget_triggered", "conversation_contact_changed",
        "conversation_mentioned", "assignee_changed", "team_changed",
    }
)  # fmt: skip
_MESSAGE_TYPES = {
    0: "incoming",
    1: "outgoing",
    2: "activity",
    3: "template",
    "0": "incoming",
    "1": "outgoing",
    "2": "activity",
    "3": "template",
}
_BOT_SENDERS = frozenset({"agent_bot", "captain_assistant", "agentbot", "captain::assistant"})
_FORMS = frozenset(
    {"input_select", "cards", "form", "input_csat", "input_email", "input_text", "input_textarea"}
)
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")


class _BriefAccount(TypedDict, total=False):
    id: Any


class _ChatwootBrief(TypedDict, total=False):
    """The fields that identify any event except an answer to a form."""

    event: Any
    id: Any
    account: _BriefAccount


class _ContactInbox(TypedDict, total=False):
    source_id: Any


class _Conversation(TypedDict, total=False):
    id: Any
    channel: Any
    status: Any
    contact_inbox: _ContactInbox


class _Inbox(TypedDict, total=False):
    id: Any
    name: Any


class _Sender(TypedDict, total=False):
    id: Any
    name: Any
    type: Any


class _ChatwootMessage(TypedDict, total=False):
    """The fields of a new message that are used. Chatwoot sends about four times as many.

    More fields of an update are used, so an update is always read in full.
    """

    account: _BriefAccount
    additional_attributes: Any
    attachments: Any
    content: Any
    content_attributes: Any
    content_type: Any
    conversation: _Conversation
    created_at: Any
    event: Any
    id: Any
    inbox: _Inbox
    message_type: Any
    private: Any
    sender: _Sender | None
    source_id: Any


MESSAGE = msgspec.json.Decoder(_ChatwootMessage)


class Chatwoot(Provider):
    name = "chatwoot"
    brief = msgspec.json.Decoder(_ChatwootBrief)

    def is_key_brief(self, event: Document) -> bool:
        return event.get("event") != "message_updated"

    def event_key(self, event: Document) -> str | None:
        return _event_key(event)

    def read_event(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        event = brief_event(MESSAGE, raw.body)
        if event is None or event.get("event") == "message_updated":
            event = parse(raw.body)
        return read_document(raw, event)

    def check_signature(
        self, claim: Claim, secrets: tuple[str, ...], *, age_seconds: float = FRESH_SECONDS
    ) -> Examined:
        """Checks the signature in a short window, whatever `age_seconds` is.

        Chatwoot signs each attempt with the current time.
        """
        return judge_timed(claim, _claimed_signature(claim), secrets, FRESH_SECONDS)

    def sign(self, secret: str, body: bytes, now: int) -> dict[str, str]:
        signature = timed_signature(secret, body, str(now))
        return {"X-Chatwoot-Timestamp": str(now), "X-Chatwoot-Signature": f"sha256={signature}"}

    def sample(self, message: SampleMessage) -> Sample:
        """Makes a sample.

        Its conversation is a number or `account~number`, its customer a contact's id.
        """
        return chatwoot(
            message.text,
            message.file,
            what=message.what,
            conversation=message.conversation or CHATWOOT_CONVERSATION,
            customer=message.customer or CHATWOOT_CUSTOMER,
            outbound=message.outbound,
        )


def _claimed_signature(claim: Claim) -> ClaimedSignature:
    """Reads `X-Chatwoot-Signature: sha256=<hex>`, which is over `X-Chatwoot-Timestamp.body`."""
    header = claim.headers.get("x-chatwoot-signature")
    stamp = claim.headers.get("x-chatwoot-timestamp")
    if header is None or stamp is None:
        return "missing"
    match = _SIGNATURE.fullmatch(header)
    if match is None or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        return "malformed"
    return stamp, match[1]


def _event_key(event: Document) -> str | None:
    """The id of a message, `<account id>/<message id>`, with a suffix for an answer to a form.

    None for other events, which have no ids. The receiver puts the label of the server
    before it, if the endpoint has one.
    """
    kind = event.get("event")
    if not isinstance(kind, str) or kind not in MESSAGE_EVENTS:
        return None
    account, message = own_id(part(event, "account").get("id")), own_id(event.get("id"))
    if account is None or message is None or "/" in account or "/" in message:
        return None
    suffix = submission_suffix(event) if kind == "message_updated" else ""
    return message_id(f"{account}/{message}{suffix}")


def read_document(raw: RawMessage, event: Document) -> ChatMessage | Skip | Quarantine:
    """The message in the event, or why there is none. Raises Unreadable."""
    kind = event.get("event")
    if not isinstance(kind, str) or not kind:
        return Quarantine("event_missing", "no event")
    if kind in OTHER_EVENTS:
        return Skip("not_a_message")
    if kind not in MESSAGE_EVENTS:
        return Skip("unknown_event")
    found = _event_key(event)
    if found is None:
        return Quarantine("identifier_missing", "no account id or message id")
    instance = instance_in_key(raw, found)
    spoken = event.get("message_type")
    spoken = (
        _MESSAGE_TYPES.get(spoken, spoken)
        if isinstance(spoken, str | int) and not isinstance(spoken, bool)
        else None
    )
    id_ = f"{instance}/{found}" if instance else found
    match spoken:
        case "incoming" | "outgoing" | "template" if (
            kind == "message_updated" and submission_suffix(event)
        ):
            return submission(id_, event, _conversation(event, instance))
        case "incoming" | "outgoing" | "template":
            return _message(id_, event, kind, spoken, instance)
        case "activity":
            return Skip("system_event")
        case _:
            return Quarantine("field_invalid", "message_type")


def _message(
    found: str, event: Document, kind: str, spoken: str, instance: str | None
) -> ChatMessage:
    """The message of an event that contains one.

    `instance` is the label of the server if the tenant has several. It is part of the ids
    of the message and the conversation.
    """
    conversation_id = _conversation(event, instance)
    private = is_private(event)
    direction: Direction = "inbound" if spoken == "incoming" and not private else "outbound"
    files = chatwoot_files(event) if "attachments" in event else []
    attachments = chatwoot_attachments(event, files) if files else ()
    content = text(event, "content")
    sender = part(event, "sender")
    attributes = attributes_of(event, part(event, "conversation"), files)
    is_empty = content is None and not attachments and not private
    if is_empty and not attributes.keys() & {"deleted", "reaction", "call"}:
        attributes["degraded_reason"] = "media_unavailable"
    return ChatMessage(
        provider_message_id=found,
        conversation_id=conversation_id,
        role=_role(sender, spoken, event),
        direction=direction,
        kind=_kind(event, attachments, content, private=private),
        content=content,
        occurred_at=moment(event.get("created_at")),
        sender_id=identifier(sender.get("id")),
        sender_name=name_of(sender, "name"),
        attachments=attachments,
        attributes=attributes,
        is_update=kind == "message_updated",
        is_deleted="deleted" in attributes,
    )


def _conversation(event: Document, instance: str | None) -> str:
    account, talk = part(event, "account"), part(event, "conversation")
    server = [instance] if instance else []
    # A conversation may have the number 0, unlike a message: joining conversations is better
    # than losing their messages.
    return conversation(*server, identifier(account.get("id")), identifier(talk.get("id")))


def _role(sender: Document, spoken: str, event: Document) -> MessageRole:
    """The role of the message's author.

    A message without a sender is a template, a campaign, an automation, or was sent from the
    channel's own app.
    """
    if spoken == "incoming":
        return "user"
    kind = (name_of(sender, "type") or "").lower()
    content, additional = part(event, "content_attributes"), part(event, "additional_attributes")
    # A campaign or a template names the person who created it or pressed the button, but a
    # program wrote the text.
    is_automatic = (
        additional.get("campaign_id")
        or additional.get("template_params")
        or content.get("automation_rule_id")
    )
    if spoken == "template" or kind in _BOT_SENDERS or is_automatic:
        return "assistant"
    if kind == "user" or is_set(content.get("external_echo")):
        return "agent"
    return "assistant"


def _kind(
    event: Document, attachments: tuple[FoundAttachment, ...], content: str | None, *, private: bool
) -> MessageKind:
    if private:
        return "note"
    content_attributes = part(event, "content_attributes")
    form = name_of(event, "content_type") or "text"
    if is_set(content_attributes.get("is_unsupported")):
        return "unsupported"
    if is_set(content_attributes.get("is_reaction")):
        return "reaction"
    if form == "sticker" and attachments:
        return "sticker"
    if attachments:
        return kind_of(attachments, "unsupported" if content is None else "text")
    if content is None:
        return "unsupported"
    return "interactive" if form in _FORMS else "text"
