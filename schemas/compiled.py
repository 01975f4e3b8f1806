"""Avro writers and readers as Python functions, compiled from the schemas.

They go from a struct to bytes and back without a dictionary between.

A general library asks at each field what its type is. Here that is asked once, when the source of the two functions of a schema
is written; what runs per record is a straight line of expressions. tests/unit/test_compiled.py holds every function against
fastavro, which is also where the format is easiest to look up. `Compiled.source` is what runs.
"""

import linecache
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from schemas.errors import SchemasError

Type = Any
"""An Avro type as JSON."""
Writer = Callable[[Any], bytes]
Reader = Callable[[bytes, int], tuple[Any, int]]
"""Bytes and a place in them → the value and the place behind it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT = 1 << 13
"""Numbers from 0 up to it take one or two bytes, and are looked up."""
_MICROS_OF_8_BYTES = range(1 << 48, 1 << 55)
"""1978 to 3111: instants that take eight bytes."""
_MICROS_WITHIN_FLOAT = range(1 << 52)
"""1970 to 2112: as seconds in a float they are exact to less than half a microsecond."""
_LONGEST = 10
"""Bytes of a 64-bit number."""
_LAST_OF_8_BYTES = 0x8080_8080_8080_8080
"""The high bits of eight bytes; the lowest byte comes first."""
_MORE_THAN_7_BYTES = 0x0080_8080_8080_8080
"""Those that are set in a number of exactly eight bytes."""


class Malformed(SchemasError, ValueError):
    """The bytes are not what the schema says."""


# numbers: zigzag, then seven bits per byte, the lowest first, with the high bit where more follow


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


_SHORTS = tuple(_varint(number << 1) for number in range(_SHORT))
_PAIRS = tuple(bytes((pair & 127 | 128, pair >> 7 | 128)) for pair in range(1 << 14))
"""Fourteen bits of a number that goes on."""


def long(value: int) -> bytes:
    """Any number. The functions of a schema look up the short ones themselves."""
    if 0 <= value < _SHORT:
        return _SHORTS[value]
    zigzag = value << 1 if value >= 0 else ~value << 1 | 1
    if zigzag >> 64:
        raise OverflowError(f"{value} has more than 64 bits")
    written = b""
    while zigzag >> 14:
        written += _PAIRS[zigzag & 16383]
        zigzag >>= 14
    return written + _varint(zigzag)


_last_instant: tuple[datetime | None, bytes] = (None, b"")
"""The instant that was written last: a stage gives one `now` to all records of a batch."""


def _instant(at: datetime) -> bytes:
    global _last_instant
    last, written = _last_instant  # read at once: other threads write instants too
    if at is not last:
        written = _new_instant(at)
        _last_instant = at, written
    return written


def _new_instant(at: datetime) -> bytes:
    since = at - _EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if micros not in _MICROS_OF_8_BYTES:
        return long(micros)
    bits = micros << 1
    return (
        _PAIRS[bits & 16383] + _PAIRS[bits >> 14 & 16383] + _PAIRS[bits >> 28 & 16383]
        + bytes((bits >> 42 & 127 | 128, bits >> 49))
    )  # fmt: skip


def _array(write: Writer, values: Collection[Any]) -> bytes:
    """One block of items and the empty one that ends them."""
    return long(len(values)) + b"".join([write(value) for value in values]) + b"\0"


def _map(write: Writer, values: Mapping[str, Any]) -> bytes:
    return _array(lambda item: _text(item[0]) + write(item[1]), values.items())


def _text(value: str) -> bytes:
    written = value.encode()
    return long(len(written)) + written


def _long_at(data: bytes, at: int) -> tuple[int, int]:
    first, second = data[at], data[at + 1] if at + 1 < len(data) else 0
    if first > 127 > second:  # two bytes: nearly all sizes that do not fit one
        bits, at = first & 127 | second << 7, at + 2
    else:
        bits, at = _long_of_any_size(data, at)
    return bits >> 1 ^ -(bits & 1), at


def _long_of_any_size(data: bytes, at: int) -> tuple[int, int]:
    """The zigzag of a number, and the place behind it."""
    bits = shift = 0
    for place in range(at, at + _LONGEST):
        byte = data[place]
        bits |= (byte & 127) << shift
        if byte < 128:
            if bits >> 64:
                break
            return bits, place + 1
        shift += 7
    raise Malformed("a number of more than 64 bits")


def _size_at(data: bytes, at: int) -> tuple[int, int]:
    """A length. None is negative: it would lead back to what was read before."""
    size, at = _long_at(data, at)
    if size < 0:
        raise Malformed("a negative length")
    return size, at


_INSTANTS_KNOWN = 4_096
_instants: dict[bytes, datetime] = {}
"""Instants by the eight bytes they take. The records of a batch share most of theirs."""


def _instant_at(data: bytes, at: int) -> tuple[datetime, int]:
    eight = data[at : at + 8]
    known = _instants.get(eight)
    if known is not None:
        return known, at + 8
    bits = int.from_bytes(eight, "little")
    if len(eight) < 8 or bits & _LAST_OF_8_BYTES != _MORE_THAN_7_BYTES:
        micros, at = _long_at(data, at)
        return _datetime(micros), at
    # Sevens become fourteens, fourteens 28s, and those one number: three steps, not one per byte.
    bits = bits & 0x007F_007F_007F_007F | (bits & 0x7F00_7F00_7F00_7F00) >> 1
    bits = bits & 0x0000_3FFF_0000_3FFF | (bits & 0x3FFF_0000_3FFF_0000) >> 2
    bits = bits & 0x0000_0000_0FFF_FFFF | (bits & 0x0FFF_FFFF_0000_0000) >> 4
    found = _datetime(bits >> 1 ^ -(bits & 1))
    if len(_instants) >= _INSTANTS_KNOWN:
        _instants.clear()
    _instants[eight] = found
    return found, at + 8


def _datetime(micros: int) -> datetime:
    if micros in _MICROS_WITHIN_FLOAT:
        return datetime.fromtimestamp(micros / 1e6, UTC)
    return _EPOCH + timedelta(microseconds=micros)


def _block_at(data: bytes, at: int) -> tuple[int, int]:
    """How many items follow. A negative number says that the block's size comes before them."""
    bits = data[at]
    if not bits & 129:  # one byte, not negative
        return bits >> 1, at + 1
    count, at = _long_at(data, at)
    if count < 0:
        _, at = _size_at(data, at)
    return abs(count), at


# functions of a schema


class Compiled(NamedTuple):
    """The two functions of one schema, and their source."""

    write: Writer
    read: Reader
    source: str


def compiled(schema: Type, structs: Mapping[str, Any], head: bytes = b"") -> Compiled:
    """Makes the functions of a schema.

    `structs` are by the names of the schema's records; a field that a schema lacks gets its struct's
    default. `head` goes before each record that is written. Raises TypeError for a type that is not handled here.
    """
    code = _Code(structs, head)
    name = code.record(schema, is_whole=True)
    source = "\n".join(code.lines)
    file = f"<compiled from {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), code.scope)
    return Compiled(code.scope[f"write_{name}"], code.scope[f"read_{name}"], source)


class _Code:
    """The lines of the functions so far, and the values that they name."""

    def __init__(self, structs: Mapping[str, Any], head: bytes) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {
            "HEAD": head,
            "SHORT": _SHORT,
            "SHORTS": _SHORTS,
            "Malformed": Malformed,
            "array": _array,
            "block_at": _block_at,
            "instant": _instant,
            "instant_at": _instant_at,
            "join": b"".join,
            "long": long,
            "long_at": _long_at,
            "map": _map,
            "size_at": _size_at,
        }
        self._structs = structs
        self._named: dict[str, Type] = {}
        self._items = 0

    # writing: expressions that give bytes, one after another

    def parts(self, type_: Type, of: str) -> list[str]:
        """The expressions whose values, joined, are `of` as this type."""
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

    # reading: statements that set a variable and move on

    def statements(self, type_: Type, to: str) -> list[str]:
        """What sets `to` to a value of this type at `at`, and `at` to the place behind it."""
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
        """The name of the record, whose functions are in the source now."""
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
        """The name of the functions for the items of an array or a map."""
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
    """One or two values are added, more are joined."""
    if len(parts) <= 2:
        return ["    return " + " + ".join(f"({part})" for part in parts)]
    return ["    return join((", *(f"        {part}," for part in parts), "    ))"]


def _sized(to: str, decoded: str) -> list[str]:
    """Reads a length, and so many bytes."""
    return [
        "n = data[at]",
        "if n & 129:",  # goes on, or is negative
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
    """Reads blocks of items: a tuple of them, or a dictionary of items by their name.

    Each item takes a byte at least, so no count leads further than the data.
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
