"""RawMessage on the wire, written straight from its values: the receiver makes one per request.

The bytes are those of `schemas.codec.encode`, which tests compare for generated records. Avro: a `long` is zigzag and then seven
bits per byte, lowest first; strings, bytes and maps begin with their length as a `long`; a map ends with 0.
"""

from collections.abc import Mapping
from functools import lru_cache

from schemas.codec import newest
from schemas.compiled import long


@lru_cache(8192)
def _text(value: str) -> bytes:
    """Names and values of headers and ids of endpoints: a client sends the same few. The receiver cuts them to 200 characters."""
    encoded = value.encode()
    return long(len(encoded)) + encoded


@lru_cache(8192)
def _source(tenant_id: str, provider: str) -> bytes:
    """Everything before the message key. An installation has few of them."""
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
    """`source`: tenant, provider and endpoint id. `key`: the message key in UTF-8. `received_us`: microseconds since 1970."""
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
