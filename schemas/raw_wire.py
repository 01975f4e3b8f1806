"""Encodes RawMessage directly from its values; the receiver encodes one per request.

The bytes equal those of `schemas.codec.encode`; tests compare both for generated
records. In Avro a `long` is zigzag-encoded and written seven bits per byte, lowest
first; strings, bytes and maps begin with their length as a `long`; a map ends with 0.
"""

from collections.abc import Mapping
from functools import lru_cache

from schemas.codec import newest
from schemas.numbers import long


@lru_cache(8192)
def _text(value: str) -> bytes:
    """Encodes a string, with a cache: header names, header values and endpoint ids recur.

    The receiver cuts each to 200 characters.
    """
    encoded = value.encode()
    return long(len(encoded)) + encoded


@lru_cache(8192)
def _source(tenant_id: str, provider: str) -> bytes:
    """Everything before the message key. An installation has few different ones."""
    return newest("RawMessage").head + _text(tenant_id) + _text(provider)


def encode_raw_message(
    source: tuple[str, str, str],
    key: bytes,
    *,
    received_us: int,
    position: int,
    headers: Mapping[str, str],
    body: bytes,
) -> bytes:
    """The record in wire format.

    `source` is tenant, provider and endpoint id; `key` is the message key in UTF-8;
    `received_us` is in microseconds since 1970.
    """
    tenant_id, provider, endpoint_id = source
    parts = [
        _source(tenant_id, provider),
        long(len(key)),
        key,
        _text(endpoint_id),
        long(received_us),
        long(position),
    ]
    if headers:
        parts.append(long(len(headers)))
        for name, value in headers.items():
            parts.append(_text(name))
            parts.append(_text(value))
    parts += (b"\0", long(len(body)), body)
    return b"".join(parts)
