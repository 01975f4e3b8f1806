"""Reads only the fields of a body that its id or its message needs, which is faster.

The result equals that of the full reading (`adapter.parse`), or there is none. msgspec
checks the form of values that it skips, except for two rules, which are checked here:
strings are UTF-8, and integers have at most 4,300 digits. The full reading gets the bodies
that only `json` accepts (with NaN or lone surrogates) and those with many brackets.
tests/unit/test_provider_briefs.py compares both readings with modified bodies.
"""

from typing import Any

import msgspec

from connectors.providers.adapter import Document

MOST_DIGITS = 4_300
"""Python reads no integer with more digits."""
_LOOKED_AT_EVERY = 4_096
_LOOKED_AT = 16
"""The number of bytes that are examined in each _LOOKED_AT_EVERY bytes.

A number with too many digits fills at least one of these places completely.
"""
MOST_BRACKETS = 60
"""A body with at most this many brackets is not nested deeper than `adapter.parse` allows."""
Brief = msgspec.json.Decoder[Any]
"""A decoder for a TypedDict that has no required fields and no types but Any and TypedDicts.

So its values are the same as in a full reading.
"""


def brief_event(brief: Brief, body: bytes) -> Document | None:
    """The fields of the body's object that the TypedDict names.

    None if the body needs a full reading.
    """
    if body.count(b"{") + body.count(b"[") > MOST_BRACKETS or _may_hold_a_long_number(body):
        return None
    try:
        if not body.isascii():
            body.decode()
        event: Document = brief.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return event


def _may_hold_a_long_number(body: bytes) -> bool:
    return len(body) > MOST_DIGITS and any(
        body[at : at + _LOOKED_AT].isdigit() for at in range(0, len(body), _LOOKED_AT_EVERY)
    )
