"""The fields of a message's attributes that mean the same for every provider.

Their contract is docs/message-attributes.md. Each function returns one field as that page
describes it, from the provider's own object. It leaves out values of other types.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from connectors.providers.adapter import (
    Document,
    link,
    name_of,
    part,
    parts,
    present,
    text,
    texts,
)
from schemas.text import storable_deep

MOST_CONTACTS = 50
MOST_ITEMS = 200
_MOST_ANSWERS = 100
_ANSWER_CHARS = 2_000
_REFERRAL = (
    "source_url",
    "source_type",
    "source_id",
    "source",
    "type",
    "ref",
    "ad_id",
    "headline",
    "body",
    "ctwa_clid",
)


def is_set(value: object) -> bool:
    """True if a provider's flag is set, in any notation that serialisers use for a boolean."""
    return value not in (None, False, 0, "", "0", "f", "false", "False")


def place(of: Document) -> dict[str, str]:
    """A location of WhatsApp: coordinates as decimal text, name, address and link."""
    return texts(of, 1_000, "latitude", "longitude", "name", "address", "url")


def card(of: Document) -> dict[str, Any]:
    """A contact card of WhatsApp."""
    organization = part(of, "org")
    name = part(of, "name")
    return present(
        name=name_of(name, "formatted_name") or _joined(name, "first_name", "last_name"),
        phones=_each(of, "phones", "phone", "wa_id", "type"),
        emails=_each(of, "emails", "email", "type"),
        addresses=_each(of, "addresses", "street", "city", "state", "zip", "country", "type"),
        urls=_each(of, "urls", "url", "type"),
        organization=texts(organization, 256, "company", "department", "title"),
        birthday=name_of(of, "birthday"),
    )


def named_card(phone: str | None, *names: str | None) -> dict[str, Any]:
    """A contact card from a number and the parts of a name."""
    return present(
        name=" ".join(name for name in names if name),
        phones=[{"phone": phone}] if phone else [],
    )


def order(of: Document) -> dict[str, Any]:
    """The order of a customer. Numbers are text, exactly as they were written."""
    items = [
        texts(item, 200, "product_retailer_id", "name", "quantity", "item_price", "currency")
        for item in parts(of, "product_items")[:MOST_ITEMS]
    ]
    return present(catalog_id=name_of(of, "catalog_id"), text=text(of, "text", 4_000), items=items)


def reaction(message_id: str | None, emoji: str | None) -> dict[str, Any]:
    """A reaction to a message. Without an emoji it is `removed`."""
    return present(message_id=message_id, emoji=emoji, removed=not emoji or None)


def quoted(id: str | None, **more: str | None) -> dict[str, Any]:
    """The message that this one answers: its id, and the provider's other facts about it."""
    return present(id=id, **more)


def referral(of: Document) -> dict[str, str]:
    """The advertisement or link through which the customer came."""
    return texts(of, 2_000, *_REFERRAL)


def answers(of: object) -> dict[str, Any]:
    """The top level of a form's answers, from JSON text or an object.

    Each answer is a text or a list of texts.
    """
    if isinstance(of, str):
        try:
            # The text may have a lone surrogate.
            of = msgspec.json.decode(of.encode(errors="replace"))
        except (msgspec.DecodeError, RecursionError):
            return {}
    if not isinstance(of, dict):
        return {}
    shown = ((str(name)[:200], _answer(value)) for name, value in list(of.items())[:_MOST_ANSWERS])
    safe = storable_deep({name: one for name, one in shown if one is not None and one != []})
    assert isinstance(safe, dict)
    return safe


def _answer(value: object) -> str | list[str] | None:
    if isinstance(value, list):
        return [found for one in value[:_MOST_ANSWERS] if (found := _plain(one)) is not None]
    return _plain(value)


def _plain(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return text({"": value}, "", _ANSWER_CHARS)


def choices(of: Document, name: str) -> list[dict[str, Any]]:
    """The choices that a message offers, or its fields to fill in."""
    return [
        found
        for one in parts(of, name)[:MOST_ITEMS]
        if (
            found := present(
                **texts(one, 1_000, "title", "value", "name", "label", "type", "description"),
                media_url=link(one, "media_url"),
                link=link(one, "link"),
            )
        )
    ]


def _each(of: Document, name: str, *fields: str) -> list[dict[str, str]]:
    found: Iterable[dict[str, str]] = (texts(one, 256, *fields) for one in parts(of, name)[:20])
    return [one for one in found if one]


def _joined(of: Document, *names: str) -> str | None:
    return " ".join(value for name in names if (value := name_of(of, name))) or None
