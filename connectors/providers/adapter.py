"""Functions with which adapters read foreign JSON.

They raise nothing but `Unreadable`.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.errors import ConnectorsError
from connectors.providers.times import may_be_moment as may_be_moment
from connectors.providers.times import moment as moment
from schemas.keys import (
    DIRECT_ID_PREFIX,
    body_id,
    conversation_part,
    is_instance,
    is_provider_id,
)
from schemas.outcomes import Quarantine, Skip
from schemas.records import AttachmentType, FoundAttachment, MessageKind, RawMessage
from schemas.text import storable

Document = Mapping[str, Any]
_DEEPEST = 60
_LARGEST_ID = 10**30
_NAME_CHARS = 256
_URL_CHARS = 8_192
_ADDRESS = re.compile(r"https?:[/\\]{2}", re.IGNORECASE)
_AROUND_ADDRESSES = "".join(map(chr, range(0x21)))
"""The characters that browsers remove before and after an address."""
_NO_IDS = frozenset({"null", "nil", "none", "undefined", "nan", "n/a", "-"})
_PHONE = re.compile(
    r"(?:\s*(?:tel|whatsapp|sms):)?([0-9+()\s./\u2010-\u2015\u2060\u200e\u202a\u202c-]*)",
    re.IGNORECASE,
)
_CALLED_FROM_ABROAD = re.compile(r"^00(?=[1-9][0-9]{7})")
_NOT_DIGITS = re.compile(r"[^0-9]")
_NOTHING: Document = {}
_KINDS: dict[AttachmentType, MessageKind] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "document": "document",
    "sticker": "sticker",
    "location": "location",
    "contact": "contact",
}


class Unreadable(ConnectorsError):
    """Ends nested reading with a verdict. Adapters catch it and return the verdict."""

    def __init__(self, verdict: Skip | Quarantine) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def parse(body: bytes) -> Document:
    """The JSON object in the body.

    Raises Unreadable if it is not JSON, is not an object, or is nested deeper than any
    provider's events are.
    """
    try:
        document = _loaded(body)
    except (ValueError, RecursionError):
        raise Unreadable(Quarantine("not_json", f"{len(body)} bytes")) from None
    if not isinstance(document, dict):
        raise Unreadable(Quarantine("not_an_object", type(document).__name__))
    # Nearly every body has so few brackets that it cannot be nested too deep. Walking
    # through it is slow.
    if body.count(b"{") + body.count(b"[") > _DEEPEST and _depth_over(document, _DEEPEST):
        raise Unreadable(Quarantine("field_invalid", "nested too deep"))
    return document


def _loaded(body: bytes) -> object:
    """The JSON value, from msgspec or else from the slower `json`.

    `json` accepts some bodies that msgspec refuses: those with NaN, lone surrogates or UTF-16.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return json.loads(body)


def _depth_over(document: object, limit: int) -> bool:
    """True if the document is nested deeper than `limit`. Uses no recursion."""
    level: list[object] = [document]
    for _ in range(limit):
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def part(document: Document, name: str) -> Document:
    """The object under `name`, or an empty one."""
    value = document.get(name)
    return value if isinstance(value, dict) else _NOTHING


def parts(document: Document, name: str) -> list[Document]:
    """The objects of the array under `name`."""
    value = document.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(document: Document, name: str, limit: int | None = None) -> str | None:
    """The string or number under `name` as storable text.

    None if it is empty or anything else.
    """
    value = document.get(name)
    return None if value is None else _as_text(value, limit)


def _as_text(value: object, limit: int | None) -> str | None:
    if isinstance(value, str):
        return storable(value)[:limit] or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return str(value)[:limit]
    except ValueError:  # an integer of thousands of digits
        return None


def texts(document: Document, limit: int, *names: str) -> dict[str, str]:
    """The fields among `names` that contain text, each cut to `limit` characters."""
    if not document:
        return {}
    return {
        name: found
        for name in names
        if name in document and (found := text(document, name, limit)) is not None
    }


def name_of(document: Document, name: str) -> str | None:
    """The short text under `name`, such as a name, an id or a code."""
    value = document.get(name)
    if isinstance(value, str):  # nearly always, so this avoids another call
        return storable(value)[:_NAME_CHARS] or None
    return None if value is None else _as_text(value, _NAME_CHARS)


def link(document: Document, name: str) -> str | None:
    """The web address under `name`, or None if it is not one or is too long.

    It stays as it was written, because people see it. A request for it parses it with
    `web_address`.
    """
    value = text(document, name)
    if value is None:
        return None
    value = value.strip(_AROUND_ADDRESSES)
    return value if len(value) <= _URL_CHARS and _ADDRESS.match(value) else None


def who(document: Document, name: str) -> str | None:
    """The id of a person, an account or a group: a short string or an integer, as text."""
    found = name_of(document, name)
    return None if found is None or isinstance(document[name], float) else found


def whole(document: Document, name: str) -> str | None:
    """The same id as `who`, but neither cut nor changed, because it distinguishes conversations."""
    value = document.get(name)
    if isinstance(value, str):
        return value or None
    return None if isinstance(value, float) else text(document, name)


def phone(document: Document, name: str) -> str | None:
    """The digits of a phone number, or None if the text is not one.

    A user id may contain digits too, so the whole text must have the form of a number.
    """
    value = whole(document, name)
    if value is None or len(value) > _NAME_CHARS:
        return None
    digits = value.removeprefix("+")
    if not (digits.isdigit() and digits.isascii()):  # nearly all are +12025550147
        found = _PHONE.fullmatch(_with_plain_digits(value))
        if found is None:
            return None
        digits = _NOT_DIGITS.sub("", found[1])
    if digits.startswith("00"):
        return _CALLED_FROM_ABROAD.sub("", digits, count=1)
    return digits or None


def _with_plain_digits(value: str) -> str:
    """Converts full-width characters and the digits of other scripts to ASCII."""
    if value.isascii():
        return value
    return "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else sign
        for sign in unicodedata.normalize("NFKC", value)
    )


def identifier(value: object) -> str | None:
    """The value as text if it can be a provider's id, otherwise None."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _LARGEST_ID else None
    return value if isinstance(value, str) and is_provider_id(value) else None


def own_id(value: object) -> str | None:
    """The same as `identifier`, but None for placeholders that mean "no id", such as 0 or "null".

    Otherwise all objects without an id would be taken for one object.
    """
    found = identifier(value)
    if found is None or found != found.strip() or not found.strip("0"):
        return None
    return None if found.lower() in _NO_IDS else found


def message_id(value: object) -> str | None:
    """A provider's id of a message, or None if only `POST /chat` may produce this id."""
    found = own_id(value)
    return None if found is None or found.startswith(DIRECT_ID_PREFIX) else found


def identified(body: bytes, found: str | None) -> tuple[str, ...]:
    """The ids of a body with one event: `found`, or else the body's digest."""
    return (found or body_id(body),)


def conversation(*of: str | None) -> str:
    """The conversation id `a~b`, with each part reduced to allowed characters.

    Raises Unreadable if a part is missing.
    """
    if not all(of):
        raise Unreadable(Quarantine("conversation_missing", "neither a phone number nor a user id"))
    return "~".join([conversation_part(str(one)) for one in of])


def must_be_keyed(raw: RawMessage, found: str) -> None:
    """Raises Unreadable unless the id in the body is the one in the record's key.

    Otherwise a forged key could claim another message.
    """
    if raw.message_key.split(":", 2)[2:] != [found]:
        raise Unreadable(Quarantine("identifier_mismatch", "the body's id is not the key's"))


def instance_in_key(raw: RawMessage, found: str) -> str | None:
    """The label of the server in the key, if it has one. Raises Unreadable like `must_be_keyed`.

    The receiver puts the label of a labelled endpoint before the id: `<label>/<id>`.
    """
    label = raw.message_key.split(":", 2)[-1].removesuffix(f"/{found}")
    if is_instance(label) and raw.message_key.endswith(f":{label}/{found}"):
        return label
    must_be_keyed(raw, found)
    return None


def kind_of(attachments: tuple[FoundAttachment, ...], without: MessageKind = "text") -> MessageKind:
    """The kind of a message by its attachments: `mixed` if they have several types.

    It is `without` if there are no attachments, or if their type is not a kind.
    """
    types = {attachment.type for attachment in attachments}
    if len(types) > 1:
        return "mixed"
    return _KINDS.get(next(iter(types)), without) if types else without


def present(**fields: object) -> dict[str, Any]:
    """The fields that are neither None nor empty. 0 and False are kept."""
    return {
        name: value for name, value in fields.items() if value is not None and (value or value == 0)
    }
