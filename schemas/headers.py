"""The Kafka headers that every record has, so that routing does not need the body."""

import os
import random
import re
from collections.abc import Sequence

import msgspec

from schemas.keys import TenantId

Headers = list[tuple[str, bytes]]

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """The values of the four headers: tenant, provider, traceparent and generation."""

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


class Routed(msgspec.Struct, frozen=True, gc=False):
    """What the headers of a record say, if they are those of `Routing` in its order.

    `is_plain`: a record with the same values and generation 0 has the same headers.
    """

    provider: str
    traceparent: str
    generation: int
    is_plain: bool


def routed(headers: Headers) -> Routed | None:
    """Reads all headers at once, or returns None if they are not exactly those four."""
    if len(headers) != 4:
        return None
    (first, _), (second, provider), (third, traceparent), (fourth, generation) = headers
    if (first, second, third, fourth) != _NAMES:
        return None
    return Routed(
        (provider or b"unknown").decode(errors="replace"),
        traceparent.decode(errors="replace"),
        generation_of(headers[3:]),
        generation == b"0" and traceparent.isascii(),
    )


_NAMES = ("tenant", "provider", "traceparent", "generation")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_random = random.Random()
"""The operating system seeds it once per process.

A traceparent has to be unique but not secret, and one is made for each record.
"""
os.register_at_fork(after_in_child=_random.seed)


def new_traceparent() -> str:
    """A fresh W3C traceparent, sampled. Neither of its ids is zero."""
    digits = _random.randbytes(24).hex()
    trace, span = digits[:32], digits[32:]
    if trace == _NO_TRACE or span == _NO_SPAN:
        return new_traceparent()
    return f"00-{trace}-{span}-01"


def is_traceparent(value: str) -> bool:
    return _TRACEPARENT.fullmatch(value) is not None


def header(headers: Sequence[tuple[str, bytes | None]] | None, name: str) -> bytes | None:
    """The value of the first header of that name, or None."""
    for key, value in headers or ():
        if key == name:
            return value
    return None


def generation_of(headers: Sequence[tuple[str, bytes | None]] | None) -> int:
    """The record's generation, or 0 if the header is missing or is not a number."""
    value = header(headers, "generation")
    if value == b"0":  # nearly all
        return 0
    return int(value) if value and value.isdigit() and len(value) < 16 else 0


def with_generation(headers: Headers, generation: int) -> Headers:
    """A copy of the headers in which `generation` replaces the present one."""
    return [
        *((name, value) for name, value in headers if name != "generation"),
        ("generation", b"%d" % generation),
    ]
