"""RawMessage on the wire, written straight from its values: the receiver makes one per request.

The bytes are those of `schemas.codec.encode`, which tests compare for generated records. Avro: a `long` is zigzag and then seven
bits per byte, lowest first; strings, bytes and maps begin with their length as a `long`; a map ends with 0.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache

from schemas.codec import pinned_schemas

_SMALL = 8192


def long(value: int) -> bytes:
    """An Avro `long` that is not negative."""
    rest = value << 1
    if rest < 0x80:
        return bytes((rest,))
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


_LONGS = tuple(long(value) for value in range(_SMALL))


def _length(value: bytes) -> bytes:
    size = len(value)
    return _LONGS[size] if size < _SMALL else long(size)


@lru_cache(8192)
def _text(value: str) -> bytes:
    """Names and values of headers and ids of endpoints: a client sends the same few. The receiver cuts them to 200 characters."""
    encoded = value.encode()
    return _length(encoded) + encoded


@lru_cache(1)
def _head() -> bytes:
    """Magic byte and id of the newest schema of the record."""
    ids = (pinned for pinned in pinned_schemas().values() if pinned.record == "RawMessage")
    return struct.pack(">bI", 0, max(ids, key=lambda pinned: pinned.version).id)


@lru_cache(8192)
def _source(tenant_id: str, provider: str) -> bytes:
    """Everything before the message key. An installation has few of them."""
    return _head() + _text(tenant_id) + _text(provider)


def encode_raw_message(
    source: tuple[str, str, str],
    key: bytes,
    *,
    received_us: int,
    position: int,
    headers: Mapping[str, str],
    body: bytes,
) -> bytes:
    """`source`: tenant, provider and endpoint id. `key`: the message key in UTF-8. `received_us`: microseconds since 1970."""
    tenant_id, provider, endpoint_id = source
    parts = [
        _source(tenant_id, provider),
        _length(key),
        key,
        _text(endpoint_id),
        long(received_us),
        _LONGS[position] if position < _SMALL else long(position),
    ]
    if headers:
        parts.append(_LONGS[len(headers)])
        for name, value in headers.items():
            parts.append(_text(name))
            parts.append(_text(value))
    parts += (b"\0", _length(body), body)
    return b"".join(parts)
