"""Making foreign text storable, in one place."""

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with U+0000 and lone surrogates as U+FFFD:
    PostgreSQL stores neither, UTF-8 not the second.

    The original stays in the raw topic.
    """
    if text.isascii() and "\0" not in text:  # nearly all, and ten times faster than a search
        return text
    return _UNSTORABLE.sub("�", text)


def storable_deep(value: object) -> object:
    """The same for every string of a JSON value, keys included."""
    match value:
        case str():
            return storable(value)
        case dict():
            return {
                storable(str(k)): storable(v) if isinstance(v, str) else storable_deep(v)
                for k, v in value.items()
            }
        case list():
            return [storable_deep(v) for v in value]
        case _:
            return value
