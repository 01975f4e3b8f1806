"""Avro writers and readers as Python functions, compiled from the schemas.

They convert between structs and bytes without an intermediate dictionary. A general
library looks up the type of each field for every record. Here that is done once, when
the source of a schema's two functions is generated; per record only a straight sequence
of expressions runs. tests/unit/test_compiled.py compares every function with fastavro,
which is also the easiest place to look up the format. `Compiled.source` is the code
that runs.
"""

import linecache
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from schemas.numbers import (
    SHORT,
    SHORTS,
    Malformed,
    block_at,
    instant,
    instant_at,
    long,
    long_at,
    size_at,
)

Type = Any
"""An Avro type as JSON."""
EncodeValue = Callable[[Any], bytes]
DecodeValue = Callable[[bytes, int], tuple[Any, int]]
"""Takes bytes and a position in them, and returns the value and the position after it."""


def _array(write: EncodeValue, values: Collection[Any]) -> bytes:
    """One block of items, and the empty block that ends the array."""
    return long(len(values)) + b"".join([write(value) for value in values]) + b"\0"


def _map(write: EncodeValue, values: Mapping[str, Any]) -> bytes:
    return _array(lambda item: _text(item[0]) + write(item[1]), values.items())


def _text(value: str) -> bytes:
    written = value.encode()
    return long(len(written)) + written


# functions of a schema


class Compiled(NamedTuple):
    """The two functions of one schema, and their source."""

    write: EncodeValue
    read: DecodeValue
    source: str


def compiled(schema: Type, structs: Mapping[str, Any], head: bytes = b"") -> Compiled:
    """Makes the functions of a schema.

    `structs` are the structs by the names of the schema's records; a field that a
    schema lacks gets its struct's default. `head` precedes each record that is written.
    Raises TypeError for an unsupported type.
    """
    code = _Code(structs, head)
    name = code.record(schema, is_whole=True)
    source = "\n".join(code.lines)
    file = f"<compiled from {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), code.scope)
    return Compiled(code.scope[f"write_{name}"], code.scope[f"read_{name}"], source)


class _Code:
    """The lines of the functions so far, and the values that they refer to."""

    def __init__(self, structs: Mapping[str, Any], head: bytes) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {
            "HEAD": head,
            "SHORT": SHORT,
            "SHORTS": SHORTS,
            "Malformed": Malformed,
            "array": _array,
            "block_at": block_at,
            "instant": instant,
            "instant_at": instant_at,
            "join": b"".join,
            "long": long,
            "long_at": long_at,
            "map": _map,
            "size_at": size_at,
        }
        self._structs = structs
        self._named: dict[str, Type] = {}
        self._items = 0

    # writing: each type becomes expressions whose values are bytes

    def parts(self, type_: Type, of: str) -> list[str]:
        """The expressions that give the encoded value of `of` if they are joined."""
        match self._named.get(type_, type_) if isinstance(type_, str) else type_:
            case "string":
                return [f"SHORTS[n] if (n := len(x := {of}.encode())) < SHORT else long(n)", "x"]
            case "bytes":
                return [f"SHORTS[n] if (n := len(x := {of})) < SHORT else long(n)", "x"]
            case "int" | "long":
                return [f"SHORTS[n] if 0 <= (n := {of}) < SHORT else long(n)"]
            case "boolean":
                return [f"b'\\1' if {of} else b'\\0'"]
            case {"type": "long", "logicalType": "timestamp-micros"}:
                return [f"instant({of})"]
            case ["null", some]:
                value = " + ".join(f"({part})" for part in self.parts(some, "v"))
                return [f"b'\\0' if (v := {of}) is None else b'\\2' + {value}"]
            case {"type": "enum"} as enum:
                return [f"{self.enum(enum)}_bytes[{of}]"]
            case {"type": "array", "items": items}:
                return [f"array(write_{self.item(items)}, v) if (v := {of}) else b'\\0'"]
            case {"type": "map", "values": values}:
                return [f"map(write_{self.item(values)}, v) if (v := {of}) else b'\\0'"]
            case {"type": "record"} as record:
                return [f"write_{self.record(record)}({of})"]
            case other:
                raise TypeError(f"{other!r} is not handled")

    # reading: each type becomes statements that set a variable and advance the position

    def statements(self, type_: Type, to: str) -> list[str]:
        """The statements that read a value at `at` into `to` and move `at` to its end."""
        match self._named.get(type_, type_) if isinstance(type_, str) else type_:
            case "string" | "bytes" as primitive:
                return _sized(to, ".decode()" if primitive == "string" else "")
            case "int" | "long":
                return _number(to)
            case "boolean":
                return [f"{to} = data[at] != 0; at += 1"]
            case {"type": "long", "logicalType": "timestamp-micros"}:
                return [f"{to}, at = instant_at(data, at)"]
            case ["null", some]:
                return [
                    "n = data[at]; at += 1",
                    "if n == 2:",
                    *(f"    {line}" for line in self.statements(some, to)),
                    "elif n:",
                    "    raise Malformed('a union has no such branch')",
                    "else:",
                    f"    {to} = None",
                ]
            case {"type": "enum"} as enum:
                return [f"{to} = {self.enum(enum)}_at[data[at]]; at += 1"]
            case {"type": "array", "items": items}:
                return _items(to, self.statements(items, "item"))
            case {"type": "map", "values": values}:
                return _items(
                    to, [*_sized("name", ".decode()"), *self.statements(values, "item")], "{}"
                )
            case {"type": "record"} as record:
                return [f"{to}, at = read_{self.record(record)}(data, at)"]
            case other:
                raise TypeError(f"{other!r} is not handled")

    # named types and functions

    def enum(self, enum: Type) -> str:
        name: str = enum["name"]
        self._named[name] = enum
        self.scope[f"{name}_bytes"] = {
            symbol: long(index) for index, symbol in enumerate(enum["symbols"])
        }
        self.scope[f"{name}_at"] = {index << 1: s for index, s in enumerate(enum["symbols"])}
        return name

    def record(self, record: Type, *, is_whole: bool = False) -> str:
        """The name of the record. Adds its functions to the source once."""
        name: str = record["name"]
        if name in self._named:
            return name
        self._named[name] = record
        struct = self.scope[name] = self._structs[name]
        fields = {field["name"]: field["type"] for field in record["fields"]}
        parts = [
            part for field, type_ in fields.items() for part in self.parts(type_, f"r.{field}")
        ]
        statements = [
            line for field, type_ in fields.items() for line in self.statements(type_, f"f_{field}")
        ]
        ours = [field for field in fields if field in struct.__struct_fields__]
        whole = ", ".join(f"{field}=f_{field}" for field in ours)
        self._function(name, (["HEAD"] if is_whole else []) + parts, statements, f"{name}({whole})")
        return name

    def item(self, type_: Type) -> str:
        """A name for the items of an array or a map.

        Adds functions of this name to the source.
        """
        if isinstance(type_, dict) and type_["type"] == "record":
            return self.record(type_)
        self._items += 1
        name = f"item_{self._items}"
        self._function(name, self.parts(type_, "r"), self.statements(type_, "item"), "item")
        return name

    def _function(self, name: str, parts: list[str], statements: list[str], result: str) -> None:
        self.lines += [
            f"def write_{name}(r):",
            *_joined(parts),
            "",
            f"def read_{name}(data, at):",
            *(f"    {line}" for line in statements),
            f"    return {result}, at",
            "",
        ]


def _joined(parts: list[str]) -> list[str]:
    """The source that concatenates bytes: by `+` up to two values, else by `join`."""
    if len(parts) <= 2:
        return ["    return " + " + ".join(f"({part})" for part in parts)]
    return ["    return join((", *(f"        {part}," for part in parts), "    ))"]


def _sized(to: str, decoded: str) -> list[str]:
    """The statements that read a length, and then that many bytes."""
    return [
        "n = data[at]",
        "if n & 129:",  # continues, or is negative
        "    n, at = size_at(data, at)",
        "else:",
        "    n >>= 1; at += 1",
        f"{to} = data[at : (at := at + n)]{decoded}",
    ]


def _number(to: str) -> list[str]:
    return [
        "n = data[at]",
        "if n & 129:",
        f"    {to}, at = long_at(data, at)",
        "else:",
        f"    {to} = n >> 1; at += 1",
    ]


def _items(to: str, item: list[str], empty: str = "()") -> list[str]:
    """The statements that read blocks of items into a tuple, or by their names into a dictionary.

    Each item takes at least one byte, so no count leads past the data.
    """
    is_map = empty == "{}"
    return [
        "if data[at]:",
        f"    {to} = {'{}' if is_map else '[]'}",
        "    count, at = block_at(data, at)",
        "    while count:",
        "        for _ in range(count):",
        *(f"            {line}" for line in item),
        f"            {to}[name] = item" if is_map else f"            {to}.append(item)",
        "        count, at = block_at(data, at)",
        *([] if is_map else [f"    {to} = tuple({to})"]),
        "else:",
        f"    {to} = {empty}; at += 1",
    ]
