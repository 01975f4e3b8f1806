"""Records to bytes and back: Confluent wire format (magic byte 0, 4-byte schema id, Avro), ids pinned in avro/ids.json."""

import io
import json
import struct
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import fastavro
import msgspec

from schemas.records import Record
from schemas.versions import UnknownVersion

AVRO_DIR = Path(__file__).parent / "avro"
_HEAD = struct.Struct(">bI")
_PLAIN = (bytes, datetime)
R = TypeVar("R", bound=Record)


OUR_IDS = 10_000
"""Schema ids below it are given out by this project alone. One of them that is not pinned is a newer program's."""


class Undecodable(Exception):
    """The bytes are not wire format, name the schema of another record, or do not hold what the schema says."""


class PinnedSchema(msgspec.Struct, frozen=True):
    """One entry of ids.json: schema `id`, the topic whose values it describes, its version under that subject."""

    id: int
    record: str
    topic: str
    version: int
    file: str

    @property
    def text(self) -> str:
        return (AVRO_DIR / self.file).read_text()


@cache
def pinned_schemas() -> dict[int, PinnedSchema]:
    entries = json.loads((AVRO_DIR / "ids.json").read_text())
    return {int(i): PinnedSchema(id=int(i), **entry) for i, entry in entries.items()}


@cache
def _parsed(schema_id: int) -> Any:
    return fastavro.parse_schema(json.loads(pinned_schemas()[schema_id].text), named_schemas={})


@cache
def _current(record_name: str) -> PinnedSchema:
    return max(
        (p for p in pinned_schemas().values() if p.record == record_name), key=lambda p: p.version
    )


@cache
def _writer(record_name: str) -> tuple[bytes, Any]:
    schema = _current(record_name)
    return _HEAD.pack(0, schema.id), _parsed(schema.id)


def encode(record: Record) -> bytes:
    """Wire format of the record under the newest schema of its type."""
    head, schema = _writer(type(record).__name__)
    out = io.BytesIO()
    out.write(head)
    fastavro.schemaless_writer(out, schema, msgspec.to_builtins(record, builtin_types=_PLAIN))
    return out.getvalue()


def decode(kind: type[R], value: bytes | None) -> R:
    """The record in `value`, read with the schema it was written with.

    Raises UnknownVersion when a newer program wrote it, else Undecodable, whatever the bytes.
    """
    if value is None or len(value) < _HEAD.size:
        raise Undecodable(f"{0 if value is None else len(value)} bytes are no wire format")
    magic, schema_id = _HEAD.unpack_from(value)
    pinned = pinned_schemas().get(schema_id) if magic == 0 else None
    if magic == 0 and pinned is None and 0 < schema_id < OUR_IDS:
        raise UnknownVersion(
            f"{kind.__name__} under schema id {schema_id}, this program knows ids up to {max(pinned_schemas())}"
        )
    if pinned is None or pinned.record != kind.__name__:
        raise Undecodable(f"magic {magic}, schema id {schema_id} is not a {kind.__name__}")
    body = io.BytesIO(value)
    body.seek(_HEAD.size)
    reader = _parsed(_current(pinned.record).id)
    try:
        plain = fastavro.schemaless_reader(
            body, _parsed(schema_id), reader if reader is not _parsed(schema_id) else None
        )
        if body.read(1):
            raise Undecodable("bytes follow the record")
        return msgspec.convert(plain, kind, builtin_types=_PLAIN)
    except Undecodable:
        raise
    except Exception as error:  # fastavro raises whatever its parsing runs into on hostile bytes
        raise Undecodable(f"{type(error).__name__} while reading {kind.__name__}") from error


RECORD_TYPES: dict[str, type[Record]] = {kind.__name__: kind for kind in get_args(Record)}
