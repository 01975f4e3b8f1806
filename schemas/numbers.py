"""Numbers, sizes and timestamps in Avro's binary form, in both directions.

A number is zigzag-encoded and written seven bits per byte, lowest first; the high bit
says that more bytes follow. A timestamp is a number of microseconds since 1970.
"""

from datetime import UTC, datetime, timedelta

from schemas.errors import SchemasError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHORT = 1 << 13
"""Numbers from 0 up to this one take one or two bytes, and are looked up."""
_MICROS_OF_8_BYTES = range(1 << 48, 1 << 55)
"""1978 to 3111: timestamps of eight bytes."""
_MICROS_WITHIN_FLOAT = range(1 << 52)
"""1970 to 2112: as float seconds these are exact to less than half a microsecond."""
_LONGEST = 10
"""The largest number of bytes of a 64-bit number."""
_LAST_OF_8_BYTES = 0x8080_8080_8080_8080
"""The high bits of eight bytes, of which the lowest comes first."""
_MORE_THAN_7_BYTES = 0x0080_8080_8080_8080
"""The high bits that are set in a number of exactly eight bytes."""


class Malformed(SchemasError, ValueError):
    """The bytes do not match the schema."""


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


SHORTS = tuple(_varint(number << 1) for number in range(SHORT))
_PAIRS = tuple(bytes((pair & 127 | 128, pair >> 7 | 128)) for pair in range(1 << 14))
"""Fourteen bits of a number that continues."""


def long(value: int) -> bytes:
    """Encodes any number. The generated functions look up the short ones themselves."""
    if 0 <= value < SHORT:
        return SHORTS[value]
    zigzag = value << 1 if value >= 0 else ~value << 1 | 1
    if zigzag >> 64:
        raise OverflowError(f"{value} has more than 64 bits")
    written = b""
    while zigzag >> 14:
        written += _PAIRS[zigzag & 16383]
        zigzag >>= 14
    return written + _varint(zigzag)


def long_at(data: bytes, at: int) -> tuple[int, int]:
    first, second = data[at], data[at + 1] if at + 1 < len(data) else 0
    if first > 127 > second:  # two bytes: nearly all sizes that do not fit one
        bits, at = first & 127 | second << 7, at + 2
    else:
        bits, at = _long_of_any_size(data, at)
    return bits >> 1 ^ -(bits & 1), at


def _long_of_any_size(data: bytes, at: int) -> tuple[int, int]:
    """The zigzag form of a number, and the position after it."""
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


def size_at(data: bytes, at: int) -> tuple[int, int]:
    """A length and the position after it.

    Raises Malformed if it is negative: it would lead back to bytes that were read
    before.
    """
    size, at = long_at(data, at)
    if size < 0:
        raise Malformed("a negative length")
    return size, at


def block_at(data: bytes, at: int) -> tuple[int, int]:
    """The number of items in a block, and the position after it.

    A negative number means that the block's size precedes the items.
    """
    bits = data[at]
    if not bits & 129:  # one byte, not negative
        return bits >> 1, at + 1
    count, at = long_at(data, at)
    if count < 0:
        _, at = size_at(data, at)
    return abs(count), at


# instants

_INSTANTS_KNOWN = 1_024
_written: dict[int, tuple[datetime, bytes]] = {}
"""Timestamps that were written or read, by `id`, with their bytes.

A stage writes timestamps that it has just read, and one `now` for all records of a
batch. A timestamp that is held here keeps its `id`, so no other object has it.
"""


def instant(at: datetime) -> bytes:
    known = _written.get(id(at))
    # Another thread may have cleared it meanwhile.
    if known is not None and known[0] is at:
        return known[1]
    return _remembered(at, _new_instant(at))


def _remembered(at: datetime, written: bytes) -> bytes:
    if len(_written) >= _INSTANTS_KNOWN:
        _written.clear()
    _written[id(at)] = at, written
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


_instants: dict[bytes, datetime] = {}
"""Timestamps by their eight bytes. The records of a batch share most of them."""


def instant_at(data: bytes, at: int) -> tuple[datetime, int]:
    eight = data[at : at + 8]
    known = _instants.get(eight)
    if known is not None:
        return known, at + 8
    bits = int.from_bytes(eight, "little")
    if len(eight) < 8 or bits & _LAST_OF_8_BYTES != _MORE_THAN_7_BYTES:
        micros, at = long_at(data, at)
        return _datetime(micros), at
    # Joins groups of 7 bits to groups of 14, those to groups of 28, and those to one number.
    # These are three steps instead of one per byte.
    bits = bits & 0x007F_007F_007F_007F | (bits & 0x7F00_7F00_7F00_7F00) >> 1
    bits = bits & 0x0000_3FFF_0000_3FFF | (bits & 0x3FFF_0000_3FFF_0000) >> 2
    bits = bits & 0x0000_0000_0FFF_FFFF | (bits & 0x0FFF_FFFF_0000_0000) >> 4
    found = _datetime(bits >> 1 ^ -(bits & 1))
    if len(_instants) >= _INSTANTS_KNOWN:
        _instants.clear()
    _instants[eight] = found
    if eight[7]:  # else another writer took more bytes than it needs
        _remembered(found, eight)
    return found, at + 8


def _datetime(micros: int) -> datetime:
    if micros in _MICROS_WITHIN_FLOAT:
        return datetime.fromtimestamp(micros / 1e6, UTC)
    return _EPOCH + timedelta(microseconds=micros)
