"""The claims of dedupe in one partition, in memory and changelog (docs/decisions/0041).

A changelog record holds many claims of one day and has one of three kinds:

    tail    the claims of one batch. Its key is a number that counts from the last block.
    block   the claims of all tails since the last block, repeated, and those of its own
            batch. Its key is never used again.
    copy    claims of another partition (`topics take-over`). Its key is a hash of its value.

A block repeats all claims of the tails before it. So the next tails reuse the keys of
those tails, compaction removes the repeated claims, and an opening lane reads few large
records. No matter in which order and how late compaction runs, the blocks, the
copies, and the tails after the last block together hold all claims.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import groupby
from operator import methodcaller
from typing import NamedTuple

from confluent_kafka import Message

from schemas.versions import UnknownVersion
from streams.lanes.digests import DIGEST_BYTES, DayDigests, holds

CLAIMS_VERSION = 1
"""The version of the records of this file.

It is smaller than any ASCII digit, because records of older programs begin with a digit.
"""
BLOCK_IDS = 4_096
"""A block is written after this many claims, or tails, since the last block."""
LARGEST_BLOCK_IDS = 16_384
LOAD_IDS = 1 << 20
"""An opening lane collects this many claims before it adds them to the days."""
TAIL = b"tail "
BLOCK = b"block "
COPY = b"copy "
_HEAD = struct.Struct(">BI")
Records = list[tuple[bytes, bytes | None]]


class Copy(NamedTuple):
    """A record of claims that may be written into any partition.

    `at` is the time in ms at which its original was written.
    """

    key: bytes
    value: bytes
    at: int

    @property
    def ids(self) -> int:
        return len(self.value) // DIGEST_BYTES


class ClaimedKeys:
    """The digests claimed within the horizon, by day, so that dropping a day is one `del`.

    All bytes of a digest are compared, so none is mistaken for another.
    """

    def __init__(self) -> None:
        self._days: dict[int, DayDigests] = {}
        self._newest_first: list[DayDigests] = []
        self._new: dict[int, list[bytes]] = {}
        self._open: list[tuple[int, bytes]] = []
        """The days and joined digests of the tails since the last block."""
        self._open_ids = 0
        self._next_tail = 0
        self._loading: dict[int, list[bytes]] = {}
        self._loading_bytes = 0

    def load(self, batches: Iterable[list[Message]]) -> int:
        """Loads the changelog, as PartitionState describes.

        Raises UnknownVersion for a record that this program cannot read.
        """
        count = 0
        for messages in batches:
            count += len(messages)
            # Records of older programs hold one claim each and come in runs of one day.
            for value, run in groupby(messages, methodcaller("value")):
                keys: list[bytes] = [message.key() or b"" for message in run]
                if value is not None and value.isdigit():
                    self._load_single(int(value), keys)
                else:
                    for key in keys:
                        self._load_record(key, value)
        for day, digests in self._open:
            self._wait(day, digests)
        self._place()
        return count

    def __contains__(self, digest: bytes) -> bool:
        # Inlined, because it runs for each record and day: calls would take most of the time.
        first = digest[0] << 8 | digest[1]
        for day in self._newest_first:
            if day.buckets:
                found = day.buckets[first >> day.shift]
                if digest in found and holds(found, digest):
                    return True
            elif digest in day.few:
                return True
        return False

    def __len__(self) -> int:
        return sum(map(len, self._newest_first))

    def claim(self, digest: bytes, day: int) -> None:
        """Claims the digest in memory.

        `changelog` returns the records to write for it.
        """
        held = self._days.get(day)
        (self._day(day) if held is None else held).add(digest)
        new = self._new.get(day)
        if new is None:
            self._new[day] = [digest]
        else:
            new.append(digest)

    def changelog(self) -> Records:
        """The records of all claims since the last call.

        They must be written in one transaction, in this order.
        """
        new = [(day, b"".join(digests)) for day, digests in self._new.items()]
        if not new:
            return []
        self._new.clear()
        self._open += new
        self._open_ids += sum(len(digests) for _, digests in new) // DIGEST_BYTES
        if max(self._open_ids, self._next_tail + len(new)) >= BLOCK_IDS:
            return self._blocks()
        numbers = range(self._next_tail, self._next_tail + len(new))
        self._next_tail = numbers.stop
        return [
            (TAIL + b"%d" % number, with_day(day, digests))
            for number, (day, digests) in zip(numbers, new, strict=True)
        ]

    def forget_before(self, day: int) -> None:
        """Forgets, in memory, the claims of earlier days.

        Brokers clean up the changelog.
        """
        old = [known for known in self._days if known < day]
        for known in old:
            del self._days[known]
        if old:
            self._sort()

    def _blocks(self) -> Records:
        """Returns the open claims in as few records as possible, and clears them."""
        of_day: dict[int, list[bytes]] = {}
        for day, digests in self._open:
            of_day.setdefault(day, []).append(digests)
        self._clear_open()
        size = LARGEST_BLOCK_IDS * DIGEST_BYTES
        return [
            (
                BLOCK + os.urandom(16).hex().encode(),
                with_day(day, joined[at : at + size]),
            )
            for day, joined in ((day, b"".join(parts)) for day, parts in of_day.items())
            for at in range(0, len(joined), size)
        ]

    def _load_single(self, day: int, keys: list[bytes]) -> None:
        """Loads claims of older programs. The key is a digest, the value its day."""
        self._wait(day, b"".join(map(_digest, keys)))

    def _load_record(self, key: bytes, value: bytes | None) -> None:
        day, digests = opened(value)
        if key.startswith(BLOCK):
            self._clear_open()
            self._wait(day, digests)
        elif key.startswith(COPY):
            self._wait(day, digests)
        elif key.startswith(TAIL):
            self._open.append((day, digests))
            self._open_ids += len(digests) // DIGEST_BYTES
            self._next_tail = max(self._next_tail, _number_of(key) + 1)
        else:
            raise _unknown_kind(key)

    def _clear_open(self) -> None:
        self._open, self._open_ids, self._next_tail = [], 0, 0

    def _wait(self, day: int, digests: bytes) -> None:
        """Collects loaded digests, and adds each LOAD_IDS of them to their days."""
        self._loading.setdefault(day, []).append(digests)
        self._loading_bytes += len(digests)
        if self._loading_bytes >= LOAD_IDS * DIGEST_BYTES:
            self._place()

    def _place(self) -> None:
        for day, parts in self._loading.items():
            self._day(day).add_all(b"".join(parts))
        self._loading, self._loading_bytes = {}, 0

    def _day(self, day: int) -> DayDigests:
        held = self._days.get(day)
        if held is None:
            held = self._days[day] = DayDigests()
            self._sort()
        return held

    def _sort(self) -> None:
        self._newest_first = [self._days[day] for day in sorted(self._days, reverse=True)]


def with_day(day: int, digests: bytes) -> bytes:
    """The value of a record: version, day, and the joined digests."""
    return _HEAD.pack(CLAIMS_VERSION, day) + digests


def opened(value: bytes | None) -> tuple[int, bytes]:
    """The day and the joined digests of a record. Raises UnknownVersion."""
    if not value:
        raise UnknownVersion("a claims record has no value")
    if value[0] != CLAIMS_VERSION:
        raise UnknownVersion(
            f"claims have version {value[0]}, this program knows versions up to {CLAIMS_VERSION}"
        )
    if len(value) % DIGEST_BYTES != _HEAD.size:
        raise UnknownVersion(f"a claims record of {len(value)} bytes does not hold whole digests")
    return _HEAD.unpack_from(value)[1], value[_HEAD.size :]


def copies(messages: Iterable[Message]) -> Iterator[Copy]:
    """Yields all claims of some partitions as records for any other partition.

    `messages` are all records of these partitions, in order per partition. Copies need
    keys of their own, because a tail's key has a meaning in its own partition only, and a
    block replaces no tails of another partition. Raises UnknownVersion.
    """
    tails: dict[int | None, list[Copy]] = {}
    for message in messages:
        key, value, partition = message.key() or b"", message.value(), message.partition()
        is_single = value is not None and value.isdigit()
        day, digests = (int(value or b""), _digest(key)) if is_single else opened(value)
        copied = with_day(day, digests)
        copy = Copy(
            COPY + blake2b(copied, digest_size=16).hexdigest().encode(),
            copied,
            message.timestamp()[1],
        )
        if not is_single and key.startswith(TAIL):
            _number_of(key)
            tails.setdefault(partition, []).append(copy)
            continue
        if not is_single and key.startswith(BLOCK):
            tails.pop(partition, None)
        elif not is_single and not key.startswith(COPY):
            raise _unknown_kind(key)
        yield copy
    for left in tails.values():
        yield from left


def _digest(key: bytes) -> bytes:
    if len(key) != DIGEST_BYTES:
        raise UnknownVersion("a claim's key is not a digest")
    return key


def _number_of(tail: bytes) -> int:
    number = tail[len(TAIL) :]
    if not number.isdigit():
        raise _unknown_kind(tail)
    return int(number)


def _unknown_kind(key: bytes) -> UnknownVersion:
    return UnknownVersion(f"the key of a claims record is of an unknown kind: {key[:8]!r}")
