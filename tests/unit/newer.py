"""The schemas of the next release, for tests in which a newer program writes.

Its schema has one more field at the front, so the schema of this release can read
nothing of what it writes.
"""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import msgspec

from schemas import codec, records
from schemas.codec import RECORD_TYPES, PinnedSchema, newest, pinned_schemas
from schemas.compiled import compiled
from schemas.records import Record

NEXT_ID = 9_001
ADDED = "added_by_the_next_release"
BEFORE, SINCE = "what older records have", "what newer records have"


class NextSchema(PinnedSchema, frozen=True):
    """The schema of the next release."""

    @property
    def text(self) -> str:
        schema = json.loads(super().text)
        schema["fields"].insert(0, {"name": ADDED, "type": "string", "default": BEFORE})
        return json.dumps(schema)


@cache
def next_struct(name: str) -> type[Any]:
    """The struct of a record as the next release declares it."""
    return msgspec.defstruct(
        name,
        [(ADDED, str, BEFORE)],
        bases=(RECORD_TYPES[name],),
        frozen=True,
        kw_only=True,
        gc=False,
    )


@cache
def _next_schema(name: str) -> NextSchema:
    now = newest(name)
    return NextSchema(
        id=NEXT_ID, record=name, topic=now.topic, version=now.version + 1, file=now.file
    )


def by_the_next_release(record: Record) -> bytes:
    """The record as a newer program writes it, under a schema that this program does not know."""
    name = type(record).__name__
    schema, kind = _next_schema(name), next_struct(name)
    fields = {field: getattr(record, field) for field in record.__struct_fields__}
    structs = vars(records) | {name: kind}
    written = compiled(json.loads(schema.text), structs, struct.pack(">bI", 0, NEXT_ID)).write
    return written(kind(**fields | {ADDED: SINCE}))


@contextmanager
def next_release(record_name: str) -> Iterator[None]:
    """Makes this program the newer one, within the block."""
    known = dict(pinned_schemas()) | {NEXT_ID: _next_schema(record_name)}
    caches = (codec._compiled, codec._readers, codec.encoder)

    def with_next() -> dict[int, PinnedSchema]:
        return known

    before = codec.pinned_schemas
    codec.pinned_schemas = with_next  # type: ignore[assignment]
    setattr(records, record_name, next_struct(record_name))
    for cache_ in caches:
        cache_.cache_clear()
    try:
        yield
    finally:
        codec.pinned_schemas = before
        setattr(records, record_name, RECORD_TYPES[record_name])
        for cache_ in caches:
            cache_.cache_clear()
