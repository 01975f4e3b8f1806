"""A program one release ahead, as far as schemas go: what it writes, and being it."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from schemas import codec
from schemas.codec import PinnedSchema, encode, pinned_schemas
from schemas.records import Record

NEXT_ID = 9_001


def by_the_next_release(record: Record) -> bytes:
    """The record as a newer program writes it: under a schema id that this one does not know."""
    return struct.pack(">bI", 0, NEXT_ID) + encode(record)[5:]


@contextmanager
def next_release(record_name: str) -> Iterator[None]:
    """Inside, this program knows the schema too."""
    known = dict(pinned_schemas())
    newest = max((p for p in known.values() if p.record == record_name), key=lambda p: p.version)
    known[NEXT_ID] = msgspec.structs.replace(newest, id=NEXT_ID, version=newest.version + 1)
    caches = (codec._compiled, codec._readers, codec.encoder)

    def with_next() -> dict[int, PinnedSchema]:
        return known

    before = codec.pinned_schemas
    codec.pinned_schemas = with_next  # type: ignore[assignment]
    for cache in caches:
        cache.cache_clear()
    try:
        yield
    finally:
        codec.pinned_schemas = before
        for cache in caches:
            cache.cache_clear()
