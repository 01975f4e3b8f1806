"""Reads those fields of a body that its id or its message needs, without values of all others.

The answer is that of the full reading (`adapter.parse`), or none. msgspec checks the
form of what it skips, with two exceptions, which are checked here: that strings are
UTF-8, and that integers have at most 4,300 digits. What it refuses although `json`
takes it (NaN, lone surrogates) is left to the full reading, as is everything that is
nested. tests/unit/test_provider_briefs.py compares both readings over changed bodies.
"""

from typing import Any

import msgspec

from connectors.providers.adapter import Document

MOST_DIGITS = 4_300
"""Python takes no integer with more digits."""
_LOOKED_AT_EVERY = 4_096
_LOOKED_AT = 16
"""Bytes.

A number with too many digits covers one of these places whole, wherever it begins.
"""
MOST_BRACKETS = 60
"""A body with so few nests no deeper than `adapter.parse` allows."""
Brief = msgspec.json.Decoder[Any]
"""Of a TypedDict without required fields, whose other fields are Any: values are the
same as in a full reading.
"""


def brief_event(brief: Brief, body: bytes) -> Document | None:
    """Those fields of the body's object that the TypedDict names.

    None: read it in full.
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
