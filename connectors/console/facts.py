"""Reads the structured content of messages, such as places, orders and quotations. Pure.

The adapters keep it in `content_attributes.provider`, in a different form per provider.
A context shows it in one form for all providers (`response_models.MessageData`), and as
a short text if the message has no text.
"""

import json
import math
from collections.abc import Callable
from typing import Any

from schemas.text import storable, storable_deep

MOST_SHOWN = 20
LONGEST_TEXT = 2_000
DEEPEST_FORM = 8
_SURVEY = ("email", "rating", "feedback")
_WORDS = {
    "es": {
        "place": "Ubicación",
        "card": "Contacto",
        "order": "Pedido",
        "choice": "Respuesta",
        "form": "Formulario",
        "more": "y {} más",
    },
    "en": {
        "place": "Location",
        "card": "Contact",
        "order": "Order",
        "choice": "Answer",
        "form": "Form",
        "more": "and {} more",
    },
}
_CUT = {"es": "… (mensaje recortado)", "en": "… (message cut)"}

_FAILED = {
    "es": {
        "image": "una imagen que no se pudo ver",
        "sticker": "un sticker que no se pudo ver",
        "audio": "un audio que no se pudo escuchar",
        "video": "un video que no se pudo obtener",
        "": "un archivo que no se pudo obtener",
    },
    "en": {
        "image": "an image that could not be seen",
        "sticker": "a sticker that could not be seen",
        "audio": "a voice note or sound that could not be heard",
        "video": "a video that could not be fetched",
        "": "a file that could not be fetched",
    },
}


def failure_text(attachment: dict[str, Any], language: str) -> str | None:
    """Returns the text that a bot reads in place of a failed file, or None if the file
    did not fail.
    """
    if attachment.get("status") != "failed":
        return None
    words = _FAILED[spoken(language)]
    sentence = words.get(str(attachment.get("type")), words[""])
    reason = attachment.get("reason")
    return f"{sentence} ({reason})" if reason else sentence


def cut_mark(language: str) -> str:
    """Returns the text at the end of a content that was cut."""
    return _CUT[spoken(language)]


def message_data(provider: dict[str, Any], message_key: str) -> dict[str, Any]:
    """Returns the structured data of a message, empty if it has none.

    Values of unexpected types are left out.
    """
    return _present(
        locations=[one for found in _places(provider) if (one := _location(found))],
        contacts=[one for found in _list(provider.get("contacts")) if (one := _contact(found))],
        order=_order(_dict(provider.get("order"))),
        choice=_choice(provider),
        quoted=_quoted(provider, message_key),
        reaction=_reaction(_dict(provider.get("reaction")), message_key),
        product=_texts(_dict(provider.get("product"))),
        referral=_texts(_dict(provider.get("referral"))),
    )


def short_text(data: dict[str, Any], language: str) -> str | None:
    """Returns the data as text, one line per item, or None if there is nothing for a bot to read.

    No line begins with a bracket.
    """
    words = _WORDS[spoken(language)]
    lines = [
        *(_line(words["place"], _place_text(one)) for one in data.get("locations", [])),
        *(_line(words["card"], _card_text(one)) for one in data.get("contacts", [])),
    ]
    if "order" in data:
        items = [_item_text(item) for item in data["order"].get("items", [])]
        lines.append(_line(words["order"], _listed(items, words["more"])))
    choice = data.get("choice", {})
    if "form" in choice:
        lines.append(_line(words["form"], _form_text(choice["form"], words["more"])))
    elif named := choice.get("title") or choice.get("payload") or choice.get("id"):
        lines.append(_line(words["choice"], named))
    text = "\n".join(lines[:MOST_SHOWN])
    return text[:LONGEST_TEXT] or None


def spoken(language: str) -> str:
    """Returns the language of the console's own texts that fits a tenant's language setting."""
    return "en" if language.lower().startswith("en") else "es"


def _places(provider: dict[str, Any]) -> list[Any]:
    """Returns the places of a message.

    Messages of earlier releases have only the field `location`, which holds one place.
    """
    return _list(provider.get("locations")) or [provider.get("location")]


def _location(found: Any) -> dict[str, Any]:
    place = _dict(found)
    return _present(
        latitude=_number(place.get("latitude")),
        longitude=_number(place.get("longitude")),
        name=_text(place.get("name")),
        address=_text(place.get("address")),
        url=_text(place.get("url")),
    )


def _contact(found: Any) -> dict[str, Any]:
    card = _dict(found)
    first = _text(card.get("firstName")) or _text(card.get("first_name"))
    last = _text(card.get("lastName")) or _text(card.get("last_name"))
    phones = [_text(_dict(one).get("phone")) or _text(one) for one in _list(card.get("phones"))]
    emails = [_text(_dict(one).get("email")) or _text(one) for one in _list(card.get("emails"))]
    return _present(
        name=_text(card.get("name")) or " ".join(filter(None, (first, last))),
        phones=[one for one in dict.fromkeys([_text(card.get("phone")), *phones]) if one],
        emails=[one for one in dict.fromkeys(emails) if one],
        organization=_text(card.get("organization"))
        or _text(_dict(card.get("organization")).get("company")),
    )


def _order(order: dict[str, Any]) -> dict[str, Any]:
    items = [
        _present(
            product_id=_text(item.get("product_retailer_id")) or _text(item.get("product_id")),
            name=_text(item.get("name")),
            quantity=_number(item.get("quantity")),
            price=_number(item.get("item_price")),
            currency=_text(item.get("currency")),
        )
        for item in map(_dict, _list(order.get("items")))
    ]
    return _present(
        catalog_id=_text(order.get("catalog_id")),
        text=_text(order.get("text")),
        items=[item for item in items if item],
    )


def _choice(provider: dict[str, Any]) -> dict[str, Any]:
    reply = _dict(provider.get("interactive"))
    button = _dict(provider.get("button"))
    flow, submitted = _dict(provider.get("flow")), _dict(provider.get("submitted"))
    survey = _present(**{name: _text(submitted.get(name)) for name in _SURVEY})
    form = (
        _form(flow.get("answers"))
        or _form(reply.get("response_json"))
        or _named(submitted.get("values")) | survey
    )
    if isinstance(form, dict):
        form = {storable(str(name)): storable_deep(value) for name, value in form.items()}
    return _present(
        id=_text(reply.get("id")) or _text(button.get("id")),
        payload=_text(button.get("payload")) or _text(reply.get("payload")),
        title=_text(reply.get("title")) or _text(button.get("text")),
        description=_text(reply.get("description")),
        name=_text(flow.get("name")) or _text(reply.get("name")),
        form=form,
    )


def _form(found: Any) -> dict[str, Any] | str | None:
    """Returns the answers of a form by field name, or the original text if it cannot be parsed."""
    if isinstance(found, str):
        try:
            read = json.loads(found)
        except (ValueError, RecursionError):
            return found or None
        return _form(read) or found if isinstance(read, dict | list) else found or None
    if _depth(found) > DEEPEST_FORM:
        return None
    if isinstance(found, list):
        return _named(found) or None
    return found if isinstance(found, dict) and found else None


def _named(values: Any) -> dict[str, Any]:
    """Returns the submitted values by field name, or by the chosen title if a field has no name."""
    return {
        str(one.get("name") or one.get("title")): one.get("value") or one.get("title")
        for one in map(_dict, _list(values))
        if one.get("name") or one.get("title")
    }


def _quoted(provider: dict[str, Any], message_key: str) -> dict[str, Any]:
    """Returns the message that is answered: its provider's id and, if known, its message key."""
    text = _text(_dict(provider.get("quoted")).get("text"))
    inner = _text(provider.get("in_reply_to"))
    if inner is not None:
        return _present(id=inner, message_key=_sibling(message_key, inner), text=text)
    direct = _text(provider.get("reply_to"))
    if direct is not None:
        return _present(id=direct, message_key=_of_provider(message_key, direct), text=text)
    return _present(id=_text(provider.get("in_reply_to_external_id")), text=text)


def _reaction(reaction: dict[str, Any], message_key: str) -> dict[str, Any]:
    target = _text(reaction.get("message_id"))
    return _present(
        id=target,
        emoji=_text(reaction.get("emoji")),
        message_key=_of_provider(message_key, target) if target else None,
        removed=reaction.get("removed") is True or None,
    )


def _of_provider(message_key: str, identifier: str) -> str:
    """Returns the key of another message of the same tenant and provider."""
    tenant, provider, _ = message_key.split(":", 2)
    return f"{tenant}:{provider}:{identifier}"


def _sibling(message_key: str, identifier: str) -> str:
    """Returns the key of another message of the same account.

    Such keys differ only after the last `/`. The key of a form's answer is the key of
    its question plus a suffix, which is removed first.
    """
    own = message_key.partition("/submitted-")[0]
    return f"{own.rpartition('/')[0]}/{identifier}"


def _depth(found: Any) -> int:
    """Returns the nesting depth, counted to at most one more than the accepted depth."""
    depth, level = 0, [found]
    while level and depth <= DEEPEST_FORM:
        depth += 1
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _line(word: str, text: str) -> str:
    return f"{word}: {text}" if text else word


def _place_text(place: dict[str, Any]) -> str:
    named = ", ".join(place[name] for name in ("name", "address") if name in place)
    if "latitude" in place and "longitude" in place:
        return f"{named} ({place['latitude']}, {place['longitude']})".strip()
    return named or place.get("url", "")


def _card_text(card: dict[str, Any]) -> str:
    parts = [card.get("name"), *card.get("phones", []), *card.get("emails", [])]
    return ", ".join(one for one in parts if one)


def _item_text(item: dict[str, Any]) -> str:
    quantity = f"{item['quantity']} × " if "quantity" in item else ""
    price = " ".join(str(item[name]) for name in ("price", "currency") if name in item)
    named = item.get("name") or item.get("product_id", "?")
    return f"{quantity}{named}{f' ({price})' if price else ''}"


def _form_text(form: dict[str, Any] | str, more: str) -> str:
    if isinstance(form, str):
        return form
    return _listed([f"{name}: {_plain(value)}" for name, value in form.items()], more)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _listed(items: list[str], more: str) -> str:
    shown = "; ".join(items[:MOST_SHOWN])
    return shown if len(items) <= MOST_SHOWN else f"{shown}; {more.format(len(items) - MOST_SHOWN)}"


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def _texts(found: dict[str, Any]) -> dict[str, str]:
    return {name: text for name, value in found.items() if (text := _text(value)) is not None}


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _text(found: Any) -> str | None:
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return None
    return str(found).strip() or None


_READERS: tuple[Callable[[str], float], ...] = (int, float)


def _number(found: Any) -> float | str | None:
    """Returns a numeric text as a number, and any other text unchanged."""
    text = _text(found)
    if text is None or len(text) > 40:
        return None
    for reader in _READERS:
        try:
            number = reader(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return text
