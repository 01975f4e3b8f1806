"""Encodes and decodes records in the Confluent wire format.

A value is the magic byte 0, a 4-byte schema id, and Avro. The ids are pinned in
avro/ids.json.
"""

import json
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from schemas import records
from schemas.compiled import Compiled, DecodeValue, compiled
from schemas.errors import SchemasError
from schemas.records import Record
from schemas.versions import UnknownVersion

AVRO_DIR = Path(__file__).parent / "avro"
_HEAD = struct.Struct(">bI")
R = TypeVar("R", bound=Record)


OUR_IDS = 10_000
"""Schema ids below this number are assigned by this project only.

One of them that is not pinned comes from a newer program.
"""


class Undecodable(SchemasError):
    """The value is not in the wire format, is another type of record, or is damaged."""


class PinnedSchema(msgspec.Struct, frozen=True):
    """One entry of ids.json: a schema's id, its topic, and the subject's version."""

    id: int
    record: str
    topic: str
    version: int
    file: str

    @property
    def text(self) -> str:
        return (AVRO_DIR / self.file).read_text()

    @property
    def head(self) -> bytes:
        """The bytes before the Avro of each value."""
        return _HEAD.pack(0, self.id)


@cache
def pinned_schemas() -> dict[int, PinnedSchema]:
    entries = json.loads((AVRO_DIR / "ids.json").read_text())
    return {int(i): PinnedSchema(id=int(i), **entry) for i, entry in entries.items()}


def _pinned_of(record_name: str) -> list[PinnedSchema]:
    return [pinned for pinned in pinned_schemas().values() if pinned.record == record_name]


def newest(record_name: str) -> PinnedSchema:
    """The schema that records of this type are written with."""
    return max(_pinned_of(record_name), key=lambda pinned: pinned.version)


@cache
def _compiled(schema_id: int) -> Compiled:
    pinned = pinned_schemas()[schema_id]
    return compiled(json.loads(pinned.text), vars(records), pinned.head)


@cache
def encoder(kind: type[R]) -> Callable[[R], bytes]:
    """The function that encodes records of this type under its newest schema.

    For a value that does not match the schema, the function may raise any exception.
    """
    return _compiled(newest(kind.__name__).id).write


@cache
def _readers(record_name: str) -> dict[bytes, DecodeValue]:
    """The readers by the head of a value."""
    return {pinned.head: _compiled(pinned.id).read for pinned in _pinned_of(record_name)}


def encode(record: Record) -> bytes:
    """The record in wire format, under the newest schema of its type."""
    write: Callable[[Any], bytes] = encoder(type(record))
    return write(record)


def decode(kind: type[R], value: bytes | None) -> R:
    """The record in `value`, read with the schema it was written with.

    For bytes that cannot be decoded, raises UnknownVersion if a newer program wrote them,
    otherwise Undecodable.
    """
    read = None if value is None else _readers(kind.__name__).get(value[: _HEAD.size])
    if value is None or read is None:
        raise _wrong_head(kind, value)
    try:
        record, end = read(value, _HEAD.size)
    except Exception as error:  # on hostile bytes a reader may raise anything
        raise Undecodable(f"{type(error).__name__} while reading {kind.__name__}") from error
    if end != len(value):
        raise Undecodable(
            "bytes follow the record" if end < len(value) else "the record is cut short"
        )
    decoded: R = record
    return decoded


def _wrong_head(kind: type[R], value: bytes | None) -> UnknownVersion | Undecodable:
    """The exception for a value that does not begin like a record of this type."""
    if value is None or len(value) < _HEAD.size:
        return Undecodable(f"{0 if value is None else len(value)} bytes are not in the wire format")
    magic, schema_id = _HEAD.unpack_from(value)
    known = pinned_schemas()
    if magic == 0 and schema_id not in known and 0 < schema_id < OUR_IDS:
        return UnknownVersion(
            f"{kind.__name__} under schema id {schema_id}, this program knows ids up "
            f"to {max(known)}"
        )
    return Undecodable(f"magic {magic}, schema id {schema_id} is not a {kind.__name__}")


RECORD_TYPES: dict[str, type[Record]] = {kind.__name__: kind for kind in get_args(Record)}
