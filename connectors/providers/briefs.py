"""Reads the few fields of a body that its id
needs, without making values of all others.

The answer is that of the full reading (`adapter.parse`), or none. msgspec checks the
form of what it skips, with two exceptions, which are checked here: that strings are
UTF-8, and that integers have at most 4,300 digits. What it refuses although `json`
takes it (NaN, lone surrogates) is left to the full reading, as is everything that is
long or nested. tests/unit/test_provider_briefs.py compares both readings over changed
bodies.
"""

from typing import Any

import msgspec

from connectors.providers.adapter import Document

MOST_BYTES = 4_300
"""Python takes no integer with more digits, so in a shorter body there is none."""
MOST_BRACKETS = 60
"""A body with so few nests no deeper than `adapter.parse` allows."""
Brief = msgspec.json.Decoder[Any]
"""Of a TypedDict without required fields, whose other
fields are Any: values are the same as in a full reading.
"""


def brief_event(brief: Brief, body: bytes) -> Document | None:
    """Those fields of the body's object that the TypedDict names.

    None: read it in full.
    """
    if len(body) > MOST_BYTES or body.count(b"{") + body.count(b"[") > MOST_BRACKETS:
        return None
    try:
        if not body.isascii():
            body.decode()
        event: Document = brief.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return event
