"""Keeps out of the logs who customers are and what they wrote, in whatever form it reaches a line.

A WhatsApp message id is the customer's number in base64, and other ids may contain
anything. So a line names a message by a digest of its key (`message`), which `sensorium
trace` accepts, and the text of every field is searched for numbers, in plain,
percent-encoded, base64 and hexadecimal form.
"""

import base64
import binascii
import re
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from schemas.keys import log_digest

NEVER = frozenset(
    {
        "alias",
        "answer",
        "api_key",
        "authorization",
        "body",
        "caption",
        "content",
        "description",
        "filename",
        "key",
        "name",
        "original_url",
        "phone",
        "prompt",
        "secret",
        "sender",
        "sender_id",
        "sender_name",
        "signature",
        "signed_url",
        "text",
        "token",
        "transcript",
        "url",
    }
)
DIGESTED = {
    "message_key": "message",
    "record_key": "message",
    "provider_message_id": "message",
    "conversation_id": "conversation",
}
"""Maps fields that identify a message or a conversation to the field that gets their digest."""
_PLAIN = frozenset({"timestamp", "level", "role", "stage", "tenant", "logger"})
"""Fields whose values are from closed sets or are validated names."""
_COUNTS = frozenset({"offset", "position", "first", "bytes", "records", "generation"})
_DEEPEST = 6
_LONGEST_CHARS = 20_000

_LINK = re.compile(r"[a-z][a-z0-9+.-]{1,20}://\S+", re.IGNORECASE)
_MAIL = re.compile(r"[^\s<>\"'=,;()@]{1,64}@[^\s<>\"'=,;()]+")
_WAMID = re.compile(r"wamid[.:=][A-Za-z0-9+/=_%-]*", re.IGNORECASE)
_MESSAGE_KEY = re.compile(
    r"(?<![\w.-])(?=[a-z0-9-]*[a-z])[a-z0-9][a-z0-9-]{0,62}:"
    r"(?=[a-z0-9_]*[a-z])[a-z0-9_]{1,32}:[^\s\"'<>]+"
)
_SEPARATOR = r"[ \t()\u00a0\u2000-\u200f\u2010-\u2015\u202f\u2060\u2212-]"
_NUMBER = re.compile(
    r"(?P<ours>\b(?:ep|key|sec)_[0-9a-f]{12,16}\b)"  # our own public ids, which may be all digits
    rf"|\+{_SEPARATOR}*(?:\d{_SEPARATOR}*){{7,}}\d|\d(?:{_SEPARATOR}*\d){{9,}}"
)
_HEX_DIGITS = re.compile(r"(?:(?:0x|\\x|\\u00|%|&#x?)?3[0-9];?[\s:,]?){8,}", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{11,}={0,2}")
_DIGITS = re.compile(rb"[0-9]{8,}")


def redact(event: MutableMapping[str, Any], *, show_keys: bool = False) -> MutableMapping[str, Any]:
    """Removes from the event everything that identifies a customer.

    `show_keys` keeps ids, for debugging.
    """
    for name in NEVER & event.keys():
        del event[name]
    digests: dict[str, str] = {}
    for name, digest_name in DIGESTED.items():
        if name in event:
            value = event[name] if show_keys else event.pop(name)
            digests.setdefault(digest_name, log_digest(_text(value)))
    for name, value in list(event.items()):
        if name.startswith("_") or name in _PLAIN or (show_keys and name in DIGESTED):
            continue
        event[name] = value if name in _COUNTS and isinstance(value, int) else clean(value)
    event.update(digests)
    return event


def clean(value: Any, depth: int = 0) -> Any:
    """Returns a value of any type without customers' data.

    An object that is not a plain value becomes its cleaned text.
    """
    match value:
        case None | bool():
            return value
        case int() | float():
            return "<number>" if abs(value) >= 10**9 else value
        case Mapping() if depth < _DEEPEST:
            return {
                clean_text(str(name)): clean(one, depth + 1)
                for name, one in value.items()
                if name not in NEVER
            }
        case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
            return [clean(one, depth + 1) for one in value]
        case _:
            return clean_text(_text(value))


def _text(value: Any) -> str:
    return bytes(value).decode(errors="replace") if isinstance(value, bytes) else str(value)


def clean_text(text: str) -> str:
    """Replaces links, ids of messages, e-mail addresses and long numbers.

    Percent-encoding is decoded if something is found under it.
    """
    text = text if len(text) <= _LONGEST_CHARS else f"{text[:_LONGEST_CHARS]}…"
    cleaned = _without_patterns(text)
    shown = cleaned
    for _ in range(3):
        plain = unquote(shown)
        if plain == shown:
            break
        shown = plain
        again = _without_patterns(shown)
        if again != shown:
            cleaned = shown = again
    return cleaned


def _without_patterns(text: str) -> str:
    text = _LINK.sub("<link>", text)
    text = _WAMID.sub("<wamid>", text)
    text = _MESSAGE_KEY.sub(lambda match: f"<message {log_digest(match[0])}>", text)
    text = _MAIL.sub("<address>", text)
    text = _BASE64.sub(lambda match: "<encoded>" if _encodes_number(match[0]) else match[0], text)
    text = _NUMBER.sub(lambda match: match["ours"] or "<number>", text)
    return _HEX_DIGITS.sub("<number>", text)


def _encodes_number(token: str) -> bool:
    """True if the token contains a long number when it is decoded as base64.

    Decoding begins at each of its first characters. Both alphabets are tried.
    """
    plain = token.rstrip("=").translate(_TO_STANDARD)
    for start in range(4):
        part = plain[start:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        try:
            data = base64.b64decode(part + "=" * (-len(part) % 4))
        except (binascii.Error, ValueError):
            continue
        if _DIGITS.search(data):
            return True
    return False


_TO_STANDARD = str.maketrans("-_", "+/")
