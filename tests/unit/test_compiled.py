import io
import json
import linecache
import struct
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import records as record_module
from schemas.codec import RECORD_TYPES, Undecodable, decode, encode, encoder, pinned_schemas
from schemas.compiled import compiled
from schemas.numbers import instant, instant_at
from schemas.records import RawMessage, Record
from tests.unit.records import NOW, message, raw

NAMES = sorted(RECORD_TYPES)
IDS = sorted(pinned_schemas())
HEAD_BYTES = 5
PLAIN = (bytes, datetime)


# the plain twin: fastavro, by way of dictionaries


@cache
def parsed(schema_id: int) -> Any:
    return fastavro.parse_schema(json.loads(pinned_schemas()[schema_id].text), named_schemas={})


def newest_id(record_name: str) -> int:
    pinned = [one for one in pinned_schemas().values() if one.record == record_name]
    return max(pinned, key=lambda one: one.version).id


def written(plain: object, schema_id: int) -> bytes:
    """A dictionary in wire format, by fastavro."""
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, schema_id))
    fastavro.schemaless_writer(out, parsed(schema_id), plain)
    return out.getvalue()


def plainly_encoded(record: Record) -> bytes:
    plain = msgspec.to_builtins(record, builtin_types=PLAIN)
    return written(plain, newest_id(type(record).__name__))


def plainly_decoded(value: bytes) -> Record:
    """Decodes by fastavro. Raises whatever it raises."""
    (schema_id,) = struct.unpack(">I", value[1:HEAD_BYTES])
    record_name = pinned_schemas()[schema_id].record
    body = io.BytesIO(value[HEAD_BYTES:])
    newest = newest_id(record_name)
    reader = None if newest == schema_id else parsed(newest)
    plain = fastavro.schemaless_reader(body, parsed(schema_id), reader)
    assert not body.read(1)
    return msgspec.convert(plain, RECORD_TYPES[record_name], builtin_types=PLAIN)


# values of a schema

LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-200, 20_000))
INSTANTS = st.one_of(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.datetimes(timezones=st.just(UTC)),
    st.datetimes(
        datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(timezone(timedelta(hours=-3)))
    ),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "bytes": st.binary(max_size=20),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": LONGS,
    "boolean": st.booleans(),
}


def values(type_: Any, named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Plain values of a schema, in which a record is a dictionary."""
    match type_:
        case str():
            return PRIMITIVES[type_] if type_ in PRIMITIVES else named[type_]
        case ["null", some]:
            return st.none() | values(some, named)
        case {"logicalType": "timestamp-micros"}:
            return INSTANTS
        case {"type": "enum", "name": name, "symbols": symbols}:
            return named.setdefault(name, st.sampled_from(symbols))
        case {"type": "array", "items": items}:
            return st.lists(values(items, named), max_size=3)
        case {"type": "map", "values": inner}:
            return st.dictionaries(TEXTS, values(inner, named), max_size=3)
        case {"type": "record", "name": name, "fields": fields}:
            of_fields = {field["name"]: values(field["type"], named) for field in fields}
            return named.setdefault(name, st.fixed_dictionaries(of_fields))
        case _:
            raise AssertionError(type_)


@cache
def of_schema(schema_id: int) -> st.SearchStrategy[dict[str, Any]]:
    return values(json.loads(pinned_schemas()[schema_id].text), {})


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_the_bytes_are_those_of_fastavro(name: str, data: st.DataObject) -> None:
    plain = data.draw(of_schema(newest_id(name)))
    record = msgspec.convert(plain, RECORD_TYPES[name], builtin_types=PLAIN)
    assert encode(record) == written(plain, newest_id(name))


@pytest.mark.parametrize("size", [0, 63, 64, 8_191, 8_192, 1_048_575, 1_048_576, 3_000_000])
def test_text_and_bytes_of_any_size_are_written_and_read_as_by_fastavro(size: int) -> None:
    record = raw(content=b"\xff" * size, headers={"x": "é" * (size // 2), "y" * size: ""})
    assert encode(record) == plainly_encoded(record)
    assert decode(RawMessage, encode(record)) == record


@pytest.mark.parametrize("schema_id", IDS)
@given(data=st.data())
def test_what_fastavro_wrote_under_any_pinned_schema_is_read_as_fastavro_reads_it(
    schema_id: int, data: st.DataObject
) -> None:
    value = written(data.draw(of_schema(schema_id)), schema_id)
    kind = RECORD_TYPES[pinned_schemas()[schema_id].record]
    assert decode(kind, value) == plainly_decoded(value)


@given(at=INSTANTS)
@example(at=datetime(1970, 1, 1, tzinfo=UTC))
@example(at=datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
@example(at=datetime(1978, 12, 1, 20, 0, 0, 1, tzinfo=UTC))
@example(at=datetime(2112, 9, 18, 0, 0, 0, 999_999, tzinfo=UTC))
@example(at=datetime(2112, 9, 17, 23, 53, 47, 370_497, tzinfo=UTC))
@example(at=datetime.max.replace(tzinfo=UTC))
@example(at=datetime.min.replace(tzinfo=UTC))
def test_an_instant_keeps_its_microsecond(at: datetime) -> None:
    found = decode(RawMessage, encode(raw(received_at=at))).received_at
    assert (found, found.utcoffset()) == (at, timedelta(0))


# bytes that are not a record


def test_an_instant_in_more_bytes_than_it_needs_is_written_in_few() -> None:
    at, _ = instant_at(b"\x82" + b"\x80" * 6 + b"\x00", 0)
    assert instant(at) == b"\x02"


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    schema_id = draw(st.sampled_from(IDS))
    value = bytearray(written(draw(of_schema(schema_id)), schema_id))
    for _ in range(draw(st.integers(0, 4))):
        value[draw(st.integers(HEAD_BYTES, len(value) - 1))] = draw(st.integers(0, 255))
    end = draw(st.one_of(st.just(len(value)), st.integers(HEAD_BYTES, len(value))))
    return bytes(value[:end]) + draw(st.binary(max_size=1))


def headed(schema_id: int, body: bytes) -> bytes:
    return struct.pack(">bI", 0, schema_id) + body


HOSTILE = st.one_of(
    damaged(),
    st.builds(headed, st.sampled_from(IDS), st.binary(max_size=200)),
    st.builds(
        headed, st.sampled_from(IDS), st.lists(st.sampled_from([0, 1, 2, 4, 128, 255])).map(bytes)
    ),
)


def rewritten(value: bytes) -> bytes:
    """The bytes that a writer makes of the record in these bytes."""
    (schema_id,) = struct.unpack(">I", value[1:HEAD_BYTES])
    body = io.BytesIO(value[HEAD_BYTES:])
    return written(fastavro.schemaless_reader(body, parsed(schema_id), None), schema_id)


@given(value=HOSTILE)
def test_damaged_bytes_are_read_as_fastavro_reads_them_or_refused(value: bytes) -> None:
    """No writer writes what is refused here but not by fastavro, such as a negative length."""
    kind = RECORD_TYPES[pinned_schemas()[struct.unpack(">I", value[1:5])[0]].record]
    try:
        plain = plainly_decoded(value)
    except Exception:
        plain = None
    try:
        found = decode(kind, value)
    except Undecodable:
        assert plain is None or rewritten(value) != value
    else:
        assert found == plain


BODY = encode(raw(content=b"{}"))[HEAD_BYTES:]


@pytest.mark.parametrize(
    "body",
    [
        b"\x01" + BODY,  # a length of -1
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + BODY,
        b"\x80" * 9 + b"\x02" + BODY,
        b"\x80" * 1_000_000,
        b"\xfe" * 1_000_000,
    ],
    ids=["negative", "the most negative", "65 bits", "zeros without end", "ones without end"],
)
def test_a_length_that_no_writer_writes_is_refused_at_once(body: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(RawMessage, headed(newest_id("RawMessage"), body))


def test_a_block_of_more_items_than_there_are_bytes_is_refused_at_once() -> None:
    name = "EnrichedMessage"
    value = encode(message())
    assert value.endswith(b"\0\0")  # no aliases, no steps
    many = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    with pytest.raises(Undecodable):
        decode(RECORD_TYPES[name], value[:-2] + many)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "telegram"},
        {"content": 7},
        {"content": "\ud800"},
        {"provider": None},
        {"version": 2**63},
        {"occurred_at": "now"},
        {"attachments": ("one",)},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_value_that_the_schema_does_not_hold_is_not_written(fields: dict[str, Any]) -> None:
    for write in (encode, plainly_encoded):
        with pytest.raises(Exception):  # noqa: B017 - whatever the writer runs into
            write(message(**fields))


def test_a_fraction_is_not_cut_to_a_whole_number() -> None:
    with pytest.raises(TypeError):
        encode(message(version=1.5))


# the compiler


def test_the_writer_of_a_type_is_made_once() -> None:
    assert encoder(RawMessage) is encoder(RawMessage)


def test_a_traceback_shows_the_line_that_failed() -> None:
    with pytest.raises(AttributeError) as failed:
        encode(message(provider=None))
    last = failed.traceback[-1]
    file = str(last.frame.code.raw.co_filename)
    assert "r.provider" in linecache.getline(file, last.lineno + 1)


@pytest.mark.parametrize(
    "type_",
    ["double", "fixed", ["string", "long"], {"type": "long", "logicalType": "timestamp-millis"}],
    ids=str,
)
def test_a_type_that_the_compiler_does_not_know_is_refused_when_the_schema_is_read(
    type_: Any,
) -> None:
    schema = {"type": "record", "name": "Step", "fields": [{"name": "at", "type": type_}]}
    with pytest.raises(TypeError):
        compiled(schema, vars(record_module))


def test_a_field_of_another_program_is_read_and_left_out() -> None:
    schema = json.loads(pinned_schemas()[newest_id("RawMessage")].text)
    more = {**schema, "fields": [{"name": "region", "type": ["null", "string"]}, *schema["fields"]]}
    read = compiled(more, vars(record_module)).read
    assert read(b"\x02\x04eu" + BODY, 0) == (
        decode(RawMessage, headed(newest_id("RawMessage"), BODY)),
        len(BODY) + 4,
    )


def test_the_examples_of_the_twin_reach_what_they_compare() -> None:
    one = raw(received_at=NOW)
    assert plainly_decoded(plainly_encoded(one)) == one
