"""Makes foreign text storable, in this one place."""

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with U+0000 and lone surrogates replaced by U+FFFD.

    PostgreSQL stores neither of them, and UTF-8 cannot encode a surrogate. The original
    stays in the raw topic.
    """
    # Most texts; ten times faster than a search.
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub("�", text)


def storable_deep(value: object) -> object:
    """Applies `storable` to every string of a JSON value, including keys."""
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
