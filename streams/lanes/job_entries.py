"""The unfinished jobs of a partition, kept as the bytes of their changelog records."""

import struct
from collections import Counter
from collections.abc import Iterable

import msgspec
from confluent_kafka import Message

from streams.lanes.entries import Entry, Glance, decode_entry, encode_entry, glance

_KEY = struct.Struct(">q")
ENTRY_BYTES = 320
"""The memory of an entry besides its bytes, in table and schedule (measured)."""
BODIES_PART = 2
"""Bodies may take half of the memory for a queue."""


class JobEntries:
    """Maps offsets to the unfinished jobs of a partition, in order of offsets.

    Each entry is kept as the bytes of its changelog record, which is compacted, and is
    unpacked when a worker takes it. `bytes` is the memory that all entries take. `load`
    keeps bodies up to half of `load_bytes`; the others are re-read when they are needed.
    """

    def __init__(self, load_bytes: int = 64 * 1024 * 1024) -> None:
        self.packed: dict[int, bytes] = {}
        self.bytes = 0
        self.body_bytes = 0
        self._load_bytes = load_bytes
        self._body_bytes_of: Counter[str] = Counter()

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
        for key in sorted(raw):  # big-endian: in order of offsets
            self._load(_KEY.unpack(key)[0], raw.pop(key))
        return count

    def put(self, offset: int, entry: Entry) -> tuple[bytes, bytes]:
        """Stores the entry and returns its changelog record."""
        packed = encode_entry(entry)
        self._keep(offset, packed, glance(packed))
        return _KEY.pack(offset), packed

    def remove(self, offset: int) -> tuple[bytes, None]:
        """Removes the entry and returns its tombstone for the changelog."""
        self._forget(offset)
        return _KEY.pack(offset), None

    def entry(self, offset: int) -> Entry:
        """The entry as it was stored last."""
        return decode_entry(self.packed[offset])

    def glance(self, offset: int) -> Glance:
        """The fields of the entry that the queue needs."""
        return glance(self.packed[offset])

    def body_bytes_of(self, tenant: str) -> int:
        """The bytes of the tenant's bodies that are in memory."""
        return self._body_bytes_of[tenant]

    def oldest_admitted_at(self) -> float | None:
        """When the oldest entry was admitted, in Unix seconds, or None if there are none.

        The first entry is the oldest, because records are read in order of offsets.
        """
        for packed in self.packed.values():
            return glance(packed).admitted_at
        return None

    def __len__(self) -> int:
        return len(self.packed)

    def _load(self, offset: int, packed: bytes) -> None:
        seen = glance(packed)
        if self.body_bytes + seen.body_bytes > self._load_bytes // BODIES_PART:
            packed = encode_entry(msgspec.structs.replace(decode_entry(packed), value=None))
            seen = glance(packed)
        self._keep(offset, packed, seen)

    def _keep(self, offset: int, packed: bytes, seen: Glance) -> None:
        self._forget(offset, keeps_its_place=True)
        self.packed[offset] = packed
        self.bytes += len(packed) + ENTRY_BYTES
        if seen.body_bytes:
            self.body_bytes += seen.body_bytes
            self._body_bytes_of[seen.tenant] += seen.body_bytes

    def _forget(self, offset: int, *, keeps_its_place: bool = False) -> None:
        packed = self.packed.get(offset) if keeps_its_place else self.packed.pop(offset)
        if packed is None:
            return
        self.bytes -= len(packed) + ENTRY_BYTES
        seen = glance(packed)
        if seen.body_bytes:
            self.body_bytes -= seen.body_bytes
            self._body_bytes_of[seen.tenant] -= seen.body_bytes
            if not self._body_bytes_of[seen.tenant]:
                del self._body_bytes_of[seen.tenant]
