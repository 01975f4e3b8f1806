"""The attributes of a YCloud message, as docs/message-attributes.md describes them."""

import json
from typing import Any

from connectors.providers.adapter import (
    Document,
    name_of,
    part,
    parts,
    present,
    text,
    texts,
    who,
)
from connectors.providers.attributes import (
    MOST_CONTACTS,
    answers,
    card,
    is_set,
    order,
    place,
    quoted,
    reaction,
    referral,
)
from schemas.text import storable

_REPLIES = ("button_reply", "list_reply", "nfm_reply", "call_permission_reply")
_REPLY_TEXTS = (
    "id",
    "title",
    "description",
    "name",
    "response_json",
    "response",
    "expiration_timestamp",
)
_PLAIN = frozenset({"text", "image", "video", "audio", "voice", "document", "sticker"})
"""The kinds of messages that have no attributes besides text and files."""
_USER_FIELDS = {
    True: ("toUserId", "recipientUserId", "toParentUserId"),
    False: ("fromUserId", "fromParentUserId"),
}


def attributes_of(
    event: Document, message: Document, message_type: str, user_ids: list[str]
) -> dict[str, Any]:
    """The attributes of a message that a bot may need and that have no column.

    They come from a list of allowed fields. `user_ids` are the customer's business-scoped
    ids. All text is storable, because the functions that read it make it so.
    """
    attributes = present(
        event_id=name_of(event, "id"),
        event_type=name_of(event, "type"),
        group_id=name_of(message, "groupId"),
        user_id=user_ids[0] if user_ids else None,
    )
    if context := part(message, "context"):
        attributes |= _of_context(context)
    if username := name_of(part(message, "customerProfile"), "username"):
        attributes["username"] = username
    if ad := referral(part(message, "referral")):
        attributes["referral"] = ad
    if message_type not in _PLAIN:
        attributes |= _of_kind(message, message_type)
    return attributes


def _of_context(context: Document) -> dict[str, Any]:
    """The attributes about the message that is answered, forwarding, and the product."""
    answered = name_of(context, "id")
    often = is_set(context.get("frequently_forwarded"))
    product = part(context, "referred_product")
    return present(
        reply_to=answered,
        quoted=quoted(answered, sender_id=who(context, "from")),
        forwarded=often or is_set(context.get("forwarded")) or None,
        frequently_forwarded=often or None,
        product=present(
            catalog_id=name_of(product, "catalog_id"),
            product_retailer_id=name_of(product, "product_retailer_id"),
        ),
    )


def _of_kind(message: Document, message_type: str) -> dict[str, Any]:
    """The attributes that only messages of this kind have."""
    match message_type:
        case "interactive":
            reply = interactive_reply(message)
            form = name_of(part(message, "interactive"), "type")
            return {"interactive": present(type=form) | _reply_attributes(reply)} | present(
                flow=_flow(reply)
            )
        case "button":
            return {"button": texts(part(message, "button"), 2_000, "payload", "text")}
        case "reaction":
            fields = part(message, "reaction")
            return {"reaction": reaction(name_of(fields, "message_id"), text(fields, "emoji"))}
        case "order":
            return {"order": order(part(message, "order"))}
        case "location":
            where = place(part(message, "location"))
            return {"location": where, "locations": [where]}
        case "contacts":
            return {"contacts": [card(one) for one in cards(message)]}
        case _:
            return {"unsupported": _unsupported(message, message_type)}


def _unsupported(message: Document, message_type: str) -> dict[str, Any]:
    return present(
        type=message_type or None,
        detail=name_of(part(message, "unsupported"), "type"),
        errors=[
            present(code=text(error, "code", 40), title=text(error, "title", 200))
            for error in parts(message, "errors")[:10]
        ],
    )


def interactive_reply(message: Document) -> Document:
    """The object that describes the customer's choice or answers, or an empty one."""
    interactive = part(message, "interactive")
    return part(interactive, name_of(interactive, "type") or "") or next(
        (part(interactive, name) for name in _REPLIES if part(interactive, name)), {}
    )


def _reply_attributes(reply: Document) -> dict[str, Any]:
    """The fields of a choice or answer.

    The answer of a flow is JSON in a string. If it is an object, it is converted to that.
    """
    found = present(
        **{name: text(reply, name, 20_000) for name in _REPLY_TEXTS},
        is_permanent=reply.get("is_permanent") is True or None,
    )
    if isinstance(reply.get("response_json"), dict | list):
        written = json.dumps(reply["response_json"], ensure_ascii=False)[:20_000]
        found["response_json"] = storable(written)
    return found


def _flow(reply: Document) -> dict[str, Any]:
    """The answers to a form of WhatsApp (a flow)."""
    found = answers(reply.get("response_json"))
    return present(name=name_of(reply, "name"), answers=found) if found else {}


def cards(message: Document) -> list[Document]:
    """The contact cards of a message."""
    return parts(message, "contacts")[:MOST_CONTACTS]


def user_fields(*, outbound: bool) -> tuple[str, ...]:
    """The names of the fields with the customer's business-scoped ids, its parent's last."""
    return _USER_FIELDS[outbound]


def users(message: Document, *, outbound: bool) -> list[str]:
    """The customer's business-scoped ids."""
    fields = _USER_FIELDS[outbound]
    return [found for name in fields if name in message and (found := who(message, name))]
