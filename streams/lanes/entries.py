"""The entries of a job stage's table: what is admitted and not finished. Faust is not needed to read them."""

import struct
from collections import Counter
from collections.abc import Iterable

import msgspec
from confluent_kafka import Message

_KEY = struct.Struct(">q")
FULL_ENTRIES = 50_000
"""Entries with body a lane holds at most; one tenant a quarter of them. Beyond that an entry is a stub without body.

One whose body is larger than `BODY_UNIT_BYTES` counts as several, so that this bounds the memory too.
"""
BODY_UNIT_BYTES = 2_048
LARGEST_KEPT_BYTES = 256 * 1024
"""A larger body is always read again: with key and headers it would not fit a changelog record."""


class Entry(msgspec.Struct, array_like=True):
    """One admitted, unfinished job. Its key is the source offset: unique in its lane, whatever the message.

    `value` None: a stub; the record is read again from the source when its turn comes. Times are Unix seconds.
    """

    tenant: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes | None
    admitted_at: float
    attempt: int = 0
    first_attempt_at: float = 0.0
    due_at: float = 0.0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


class JobEntries:
    """Offset → entry of the unfinished jobs of a partition, in order of admission. The changelog is compacted."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self._full: Counter[str] = Counter()
        self._held = 0

    def load(self, batches: Iterable[list[Message]]) -> int:
        raw: dict[bytes, bytes] = {}
        count = 0
        for messages in batches:
            for message in messages:
                key, value = message.key() or b"", message.value()
                if value is None:
                    raw.pop(key, None)
                else:
                    raw[key] = value
            count += len(messages)
        for key, value in raw.items():
            self.put(_KEY.unpack(key)[0], _decode(value))
        return count

    def put(self, offset: int, entry: Entry) -> tuple[bytes, bytes]:
        """Keeps it; returns its changelog record."""
        self._count_body(self.entries.get(offset), -1)
        self.entries[offset] = entry
        self._count_body(entry, 1)
        return _KEY.pack(offset), _encode(entry)

    def remove(self, offset: int) -> tuple[bytes, None]:
        self._count_body(self.entries.pop(offset), -1)
        return _KEY.pack(offset), None

    def has_room_for_body(self, tenant: str, size: int = 0) -> bool:
        """Whether the tenant's next entry may carry its body of `size` bytes. What it may not is bounded memory, not service."""
        return (
            size <= LARGEST_KEPT_BYTES
            and self._held < FULL_ENTRIES
            and self._full[tenant] < FULL_ENTRIES // 4
        )

    def __len__(self) -> int:
        return len(self.entries)

    def _count_body(self, entry: Entry | None, by: int) -> None:
        if entry is not None and entry.value is not None:
            units = by * (1 + len(entry.value) // BODY_UNIT_BYTES)
            self._held += units
            self._full[entry.tenant] += units
            if not self._full[entry.tenant]:
                del self._full[entry.tenant]
