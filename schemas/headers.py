"""Kafka headers that every record has, so that nobody needs the body to route."""

import os
import random
import re
from collections.abc import Sequence

import msgspec

from schemas.keys import TenantId

Headers = list[tuple[str, bytes]]

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """tenant, provider, traceparent, generation."""

    tenant_id: TenantId
    provider: str
    traceparent: str
    generation: int = 0

    def to_headers(self) -> Headers:
        return [
            ("tenant", self.tenant_id.encode()),
            ("provider", self.provider.encode()),
            ("traceparent", self.traceparent.encode()),
            ("generation", b"%d" % self.generation),
        ]


_random = random.Random()
"""Seeded by the operating system once per process: an id
has to be unique, not secret, and is made for each record.
"""
os.register_at_fork(after_in_child=_random.seed)


def new_traceparent() -> str:
    """A fresh W3C traceparent, sampled. Neither of its ids is zero."""
    trace, span = _random.getrandbits(128) or 1, _random.getrandbits(64) or 1
    return f"00-{trace:032x}-{span:016x}-01"


def is_traceparent(value: str) -> bool:
    return _TRACEPARENT.fullmatch(value) is not None


def header(headers: Sequence[tuple[str, bytes | None]] | None, name: str) -> bytes | None:
    """The first header of that name."""
    for key, value in headers or ():
        if key == name:
            return value
    return None


def generation_of(headers: Sequence[tuple[str, bytes | None]] | None) -> int:
    """The record's generation: 0 where the header is missing or no number."""
    value = header(headers, "generation")
    if value == b"0":  # nearly all
        return 0
    return int(value) if value and value.isdigit() and len(value) < 16 else 0


def with_generation(headers: Headers, generation: int) -> Headers:
    """The headers with this generation instead of their own."""
    return [
        *((name, value) for name, value in headers if name != "generation"),
        ("generation", b"%d" % generation),
    ]
