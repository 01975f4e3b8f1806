import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import records as record_module
from schemas.codec import AVRO_DIR, RECORD_TYPES, Undecodable, decode, encode, pinned_schemas
from schemas.records import RawMessage, Record
from schemas.topics import TOPICS
from schemas.versions import UnknownVersion
from tests.layout.compatibility import EARLIER, incompatibilities
from tests.unit.records import EXAMPLES, raw

NAMES = sorted(RECORD_TYPES)


def examples(name: str) -> list[Record]:
    documents = msgspec.json.decode((EXAMPLES / f"{name}.json").read_bytes())
    return [msgspec.convert(document, RECORD_TYPES[name]) for document in documents]


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((AVRO_DIR / f"{name}.avsc").read_text())
    return document


def named_records(type_: Any) -> list[dict[str, Any]]:
    """Every record schema inside an Avro type, outermost first."""
    match type_:
        case list():
            return [found for branch in type_ for found in named_records(branch)]
        case {"type": "record", "fields": fields}:
            return [type_, *(found for field in fields for found in named_records(field["type"]))]
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            return named_records(inner)
        case _:
            return []


def enums(type_: Any) -> list[dict[str, Any]]:
    match type_:
        case list():
            return [found for branch in type_ for found in enums(branch)]
        case {"type": "enum"}:
            return [type_]
        case {"type": "record", "fields": fields}:
            return [found for field in fields for found in enums(field["type"])]
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            return enums(inner)
        case _:
            return []


# the corpus


@pytest.mark.parametrize("name", NAMES)
def test_every_example_survives_the_wire(name: str) -> None:
    corpus = examples(name)
    assert corpus
    assert [decode(RECORD_TYPES[name], encode(example)) for example in corpus] == corpus


@pytest.mark.parametrize("name", NAMES)
def test_an_example_names_no_field_that_the_record_lacks(name: str) -> None:
    known = set(RECORD_TYPES[name].__struct_fields__)
    assert [
        set(document) - known for document in json.loads((EXAMPLES / f"{name}.json").read_text())
    ] == [set()] * len(examples(name))


def test_there_are_examples_of_nothing_else() -> None:
    assert sorted(file.stem for file in EXAMPLES.glob("*.json")) == NAMES


# schemas and structs


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_and_its_struct_have_the_same_fields(name: str) -> None:
    for record in named_records(schema(name)):
        struct_type = getattr(record_module, record["name"])
        assert sorted(field["name"] for field in record["fields"]) == sorted(
            struct_type.__struct_fields__
        ), record["name"]


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_and_its_struct_give_a_missing_field_the_same_value(name: str) -> None:
    for record in named_records(schema(name)):
        of_schema = {
            field["name"]: field["default"] for field in record["fields"] if "default" in field
        }
        of_struct = _defaults(getattr(record_module, record["name"]))
        assert of_struct.keys() <= of_schema.keys()
        assert {field: of_schema[field] for field in of_struct} == of_struct


def _defaults(struct_type: type[msgspec.Struct]) -> dict[str, Any]:
    found = {}
    for field in msgspec.structs.fields(struct_type):
        if field.default is not msgspec.NODEFAULT:
            found[field.name] = msgspec.to_builtins(field.default)
        elif field.default_factory is not msgspec.NODEFAULT:
            found[field.name] = msgspec.to_builtins(field.default_factory())
    return {
        field: list(value) if isinstance(value, tuple) else value for field, value in found.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_record_and_every_field_is_explained(name: str) -> None:
    silent = [record["name"] for record in named_records(schema(name)) if not record.get("doc")]
    silent += [
        f"{record['name']}.{field['name']}"
        for record in named_records(schema(name))
        for field in record["fields"]
        if not field.get("doc")
    ]
    assert silent == []


@pytest.mark.parametrize("name", NAMES)
def test_an_enum_has_the_symbols_of_its_literal_and_falls_back_to_unknown(name: str) -> None:
    literals = {
        frozenset(getattr(getattr(record_module, literal), "__args__", ()))
        for literal in (
            "AttachmentType",
            "AttachmentStatus",
            "Direction",
            "MessageRole",
            "MessageKind",
            "MessageStatus",
            "EnrichmentKind",
            "Next",
        )
    }
    for enum in enums(schema(name)):
        assert frozenset(enum["symbols"]) in literals, enum["name"]
        assert (enum["symbols"][0], enum.get("default")) == ("UNKNOWN", "UNKNOWN"), enum["name"]


# ids


def test_the_ids_pin_every_schema_under_the_topic_it_describes() -> None:
    assert {(pinned.record, pinned.topic) for pinned in pinned_schemas().values()} == {
        (topic.record, topic.name) for topic in TOPICS.values()
    }
    assert {pinned.record for pinned in pinned_schemas().values()} == set(RECORD_TYPES)


def test_no_version_of_a_record_is_pinned_twice() -> None:
    pinned = [(one.record, one.version) for one in pinned_schemas().values()]
    assert len(pinned) == len(set(pinned))


def test_every_schema_file_is_pinned() -> None:
    assert {file.name for file in AVRO_DIR.glob("*.avsc")} <= {
        pinned.file for pinned in pinned_schemas().values()
    }


# compatibility


def test_every_version_of_a_schema_reads_every_other() -> None:
    assert incompatibilities(AVRO_DIR) == []


def _field(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(field for field in document["fields"] if field["name"] == name)
    return found


def _require_more(document: dict[str, Any]) -> None:
    document["fields"].append({"name": "region", "type": "string", "doc": "Where."})


def _offer_more(document: dict[str, Any]) -> None:
    document["fields"].append({"name": "region", "type": "string", "doc": "Where.", "default": ""})


def _change_a_type(document: dict[str, Any]) -> None:
    _field(document, "position")["type"] = "string"
    _field(document, "position")["default"] = ""


def _widen_a_type(document: dict[str, Any]) -> None:
    _field(document, "position")["type"] = "long"


def _drop_a_required_field(document: dict[str, Any]) -> None:
    document["fields"].remove(_field(document, "body"))


def _drop_an_optional_field(document: dict[str, Any]) -> None:
    document["fields"].remove(_field(document, "endpoint_id"))


def _rename(document: dict[str, Any]) -> None:
    _field(document, "tenant_id")["name"] = "tenant"


@pytest.mark.parametrize(
    ("change", "directions_broken"),
    [
        (_offer_more, 0),
        (_drop_an_optional_field, 0),
        (_require_more, 1),  # the new one cannot read what is written already
        (_drop_a_required_field, 1),  # an old reader misses it
        (_widen_a_type, 1),  # an old reader cannot narrow it
        (_change_a_type, 2),
        (_rename, 2),
    ],
)
def test_the_compatibility_check_sees_what_breaks_a_reader(
    change: Callable[[dict[str, Any]], None], directions_broken: int, tmp_path: Path
) -> None:
    changed = tmp_path / "avro"
    shutil.copytree(AVRO_DIR, changed)
    (changed / EARLIER).mkdir(exist_ok=True)
    shutil.copy(changed / "RawMessage.avsc", changed / EARLIER / "RawMessage.v1.avsc")
    document = schema("RawMessage")
    change(document)
    (changed / "RawMessage.avsc").write_text(json.dumps(document))
    found = incompatibilities(changed)
    assert (
        len([line for line in found if "RawMessage.v1" in line and line.count("RawMessage") >= 2])
        == directions_broken
    ), found


def test_a_new_enum_symbol_breaks_nobody_since_unknown_is_the_default(tmp_path: Path) -> None:
    changed = tmp_path / "avro"
    shutil.copytree(AVRO_DIR, changed)
    (changed / EARLIER).mkdir(exist_ok=True)
    shutil.copy(changed / "Enrichment.avsc", changed / EARLIER / "Enrichment.v1.avsc")
    document = schema("Enrichment")
    enums(document)[0]["symbols"].append("translated")
    (changed / "Enrichment.avsc").write_text(json.dumps(document))
    assert incompatibilities(changed) == []


# hostile bytes

WIRE = encode(raw(content=b'{"id":"evt_1"}'))


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\0\0\0\0",
        WIRE[:5],
        WIRE[:-1],
        WIRE + b"\0",
        b"\1" + WIRE[1:],
        struct.pack(">bI", 0, 99_999) + WIRE[5:],
        struct.pack(">bI", 0, 2) + WIRE[5:],
        WIRE[:5] + b"\xff" * 10,
        WIRE[:5] + b"\x80" * 50_000,
        WIRE[:5] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b'{"tenant_id": "acme"}',
    ],
    ids=[
        "nothing", "empty", "half a head", "head alone", "cut short", "too long", "other magic byte", "a foreign id", "another record's id",
        "text no UTF-8", "a number without end", "a length beyond all memory", "JSON",
    ],
)  # fmt: skip
def test_what_is_not_a_record_is_undecodable(value: bytes | None) -> None:
    with pytest.raises(Undecodable):
        decode(RawMessage, value)


def _decoded_or_undecodable(name: str, value: bytes) -> None:
    try:
        record = decode(RECORD_TYPES[name], value)
    except (Undecodable, UnknownVersion):
        return
    assert type(record) is RECORD_TYPES[name]


ID_OF = {pinned.record: i for i, pinned in pinned_schemas().items()}


@given(name=st.sampled_from(NAMES), body=st.binary(max_size=400), is_headed=st.booleans())
def test_arbitrary_bytes_give_a_record_or_a_verdict_and_nothing_else(
    name: str, body: bytes, is_headed: bool
) -> None:
    _decoded_or_undecodable(name, struct.pack(">bI", 0, ID_OF[name]) + body if is_headed else body)


@given(name=st.sampled_from(NAMES), data=st.data())
def test_a_damaged_record_gives_a_record_or_undecodable_and_nothing_else(
    name: str, data: st.DataObject
) -> None:
    value = bytearray(encode(examples(name)[0]))
    for _ in range(data.draw(st.integers(1, 8))):
        value[data.draw(st.integers(5, len(value) - 1))] = data.draw(st.integers(0, 255))
    _decoded_or_undecodable(name, bytes(value[: data.draw(st.integers(5, len(value)))]))
