"""How adapters read foreign JSON: leniently, and without ever raising past `Unreadable`."""

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
from schemas.records import AttachmentType, FoundAttachment, Kind, RawMessage
from schemas.text import storable

Document = Mapping[str, Any]
_DEEPEST = 60
_LARGEST_ID = 10**30
_NAME_CHARS = 256
_URL_CHARS = 8_192
_ADDRESS = re.compile(r"https?:[/\\]{2}", re.IGNORECASE)
_AROUND_ADDRESSES = "".join(map(chr, range(0x21)))
"""What browsers leave out before and after an address."""
_NO_IDS = frozenset({"null", "nil", "none", "undefined", "nan", "n/a", "-"})
_PHONE = re.compile(
    r"(?:\s*(?:tel|whatsapp|sms):)?([0-9+()\s./\u2010-\u2015\u2060\u200e\u202a\u202c-]*)",
    re.IGNORECASE,
)
_CALLED_FROM_ABROAD = re.compile(r"^00(?=[1-9][0-9]{7})")
_NOT_DIGITS = re.compile(r"[^0-9]")
_NOTHING: Document = {}
_KINDS: dict[AttachmentType, Kind] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "document": "document",
    "sticker": "sticker",
    "location": "location",
    "contact": "contact",
}


class Unreadable(ConnectorsError):
    """Carries the verdict out of nested reading; never leaves an adapter."""

    def __init__(self, verdict: Skip | Quarantine) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def parse(body: bytes) -> Document:
    """The body's JSON object.

    Raises Unreadable: not JSON, no object, or nested deeper than any provider goes.
    """
    try:
        document = _loaded(body)
    except (ValueError, RecursionError):
        raise Unreadable(Quarantine("not_json", f"{len(body)} bytes")) from None
    if not isinstance(document, dict):
        raise Unreadable(Quarantine("not_an_object", type(document).__name__))
    # a body with so few brackets cannot nest deeper:
    # nearly all of them, and the walk is dear
    if body.count(b"{") + body.count(b"[") > _DEEPEST and _depth_over(document, _DEEPEST):
        raise Unreadable(Quarantine("field_invalid", "nested too deep"))
    return document


def _loaded(body: bytes) -> object:
    """The JSON value. msgspec is several times faster; what it refuses (NaN, lone
    surrogates, UTF-16) json may still take.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return json.loads(body)


def _depth_over(document: object, limit: int) -> bool:
    """Whether it nests deeper than `limit`, without recursion."""
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
    """The object under `name`; an empty one when there is none."""
    value = document.get(name)
    return value if isinstance(value, dict) else _NOTHING


def parts(document: Document, name: str) -> list[Document]:
    """The objects of the array under `name`."""
    value = document.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(document: Document, name: str, limit: int | None = None) -> str | None:
    """The string (or number) under `name`, made storable; None for anything else and for nothing."""
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
    """Those of the fields that hold text."""
    if not document:
        return {}
    return {
        name: found
        for name in names
        if name in document and (found := text(document, name, limit)) is not None
    }


def name_of(document: Document, name: str) -> str | None:
    """A short string: a name, an id, a code."""
    value = document.get(name)
    if isinstance(value, str):  # nearly always: without another call
        return storable(value)[:_NAME_CHARS] or None
    return None if value is None else _as_text(value, _NAME_CHARS)


def link(document: Document, name: str) -> str | None:
    """A web address of a sane length, or None.

    It stays as it was written, because it is shown; a request for it reads it with web_address.
    """
    value = text(document, name)
    if value is None:
        return None
    value = value.strip(_AROUND_ADDRESSES)
    return value if len(value) <= _URL_CHARS and _ADDRESS.match(value) else None


def who(document: Document, name: str) -> str | None:
    """What names a person, an account or a group: a short string or a whole number."""
    found = name_of(document, name)
    return None if found is None or isinstance(document[name], float) else found


def whole(document: Document, name: str) -> str | None:
    """What `who` gives, but neither cut nor changed: what a conversation is told apart by."""
    value = document.get(name)
    if isinstance(value, str):
        return value or None
    return None if isinstance(value, float) else text(document, name)


def phone(document: Document, name: str) -> str | None:
    """A phone number as digits; None for a text that is not one: a user id holds digits too."""
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
    """Full-width signs and the digits of other scripts are written as ASCII."""
    if value.isascii():
        return value
    return "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else sign
        for sign in unicodedata.normalize("NFKC", value)
    )


def identifier(value: object) -> str | None:
    """A provider's id as text, when it can serve as one."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _LARGEST_ID else None
    return value if isinstance(value, str) and is_provider_id(value) else None


def own_id(value: object) -> str | None:
    """What `identifier` gives; None for what stands where a system has no id, such as 0 or "null".

    Everything under such an id would be taken for one thing.
    """
    found = identifier(value)
    if found is None or found != found.strip() or not found.strip("0"):
        return None
    return None if found.lower() in _NO_IDS else found


def message_id(value: object) -> str | None:
    """A provider's id of a message; None for one that only `POST /chat` may give."""
    found = own_id(value)
    return None if found is None or found.startswith(DIRECT_ID_PREFIX) else found


def identified(body: bytes, found: str | None) -> tuple[str, ...]:
    """The one id of a body, or the body's digest."""
    return (found or body_id(body),)


def conversation(*of: str | None) -> str:
    """`a~b`, each part made of allowed characters.

    Raises Unreadable when one is missing.
    """
    if not all(of):
        raise Unreadable(Quarantine("conversation_missing", "neither a phone number nor a user id"))
    return "~".join([conversation_part(str(one)) for one in of])


def must_be_keyed(raw: RawMessage, found: str) -> None:
    """The id in the body and the one in the key must be the same, or a forged key could
    claim another's message.
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


def kind_of(attachments: tuple[FoundAttachment, ...], without: Kind = "text") -> Kind:
    """The kind of a message that is its attachments: `mixed` when they are of several types."""
    types = {attachment.type for attachment in attachments}
    if len(types) > 1:
        return "mixed"
    return _KINDS.get(next(iter(types)), without) if types else without


def present(**fields: object) -> dict[str, Any]:
    """The fields that hold something: 0 and False do."""
    return {
        name: value for name, value in fields.items() if value is not None and (value or value == 0)
    }
