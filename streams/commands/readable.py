"""Shows records of the topics as text that a person can read."""

import base64
from datetime import datetime
from typing import Any

import msgspec

from schemas.codec import RECORD_TYPES, Undecodable, decode
from schemas.pipeline import TopicName
from schemas.topics import TOPICS
from schemas.versions import UnknownVersion

_LONGEST_TEXT_CHARS = 20_000


def readable(topic: TopicName, value: bytes | None) -> dict[str, Any]:
    """Returns the record's fields. Bytes are shown as text if they are valid UTF-8, else as base64.

    Bytes that are not a record of the topic are shown under `undecodable`.
    """
    kind = RECORD_TYPES[TOPICS[topic].record]
    try:
        record = decode(kind, value)
    except UnknownVersion as error:
        return {"newer": str(error), "text": _text(value or b"")}
    except Undecodable as error:
        return {"undecodable": str(error), "text": _text(value or b"")}
    plain = msgspec.to_builtins(record, builtin_types=(bytes, datetime))
    shown: dict[str, Any] = _shown(plain)
    return shown


def _shown(value: Any) -> Any:
    match value:
        case bytes():
            return _text(value)
        case datetime():
            return value.isoformat()
        case dict():
            return {name: _shown(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_shown(inner) for inner in value]
        case _:
            return value


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(value).decode()}"
    if len(text) <= _LONGEST_TEXT_CHARS:
        return text
    return f"{text[:_LONGEST_TEXT_CHARS]}… ({len(value)} bytes)"
