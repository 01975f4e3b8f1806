"""What a lane's table holds for one partition."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from confluent_kafka import Message


class PartitionState(Protocol):
    """Rebuilt from the partition's changelog
    when the lane opens; dropped with the lane.
    """

    def load(self, batches: Iterable[list[Message]]) -> int:
        """Takes all records of the changelog in order and returns how many there were.

        Runs in the lane's thread.
        """
        ...


DIGEST_BYTES = 16
SET_IDS = 32_768
"""Ids of a day that are held in a set.

With more of them the same ids take less room in buckets.
"""
BUCKETS = 1 << 14


def _holds(bucket: bytearray, digest: bytes) -> bool:
    """Whether the digest is one of those in the bucket,
    and not the end of one and the beginning of the next.
    """
    at = bucket.find(digest)
    while at > 0 and at % DIGEST_BYTES:
        at = bucket.find(digest, at + 1)
    return at >= 0


class _Day:
    """The digests of one day: in a set while they
    are few, and in buckets when they are many.

    A bucket has those whose first 14 bits are the same,
    one after another: 20 bytes an id instead of 100.
    """

    __slots__ = ("buckets", "count", "others")

    def __init__(self) -> None:
        self.others: set[bytes] = set()
        self.buckets: list[bytearray] = []
        self.count = 0

    def update(self, digests: Iterable[bytes]) -> None:
        """Adds digests of any length.

        In a bucket, one that is added again takes its room again.
        """
        self.others.update(digests)
        if self.buckets or len(self.others) > SET_IDS:
            self._sort_in([one for one in self.others if len(one) == DIGEST_BYTES])
            self.others = {one for one in self.others if len(one) != DIGEST_BYTES}

    def add(self, digest: bytes) -> None:
        """Adds one, whether it is there or not.

        Done for each record that is forwarded: it makes no list and no set.
        """
        if not self.buckets or len(digest) != DIGEST_BYTES:
            self.others.add(digest)
            if len(self.others) > SET_IDS:
                self.update(())
            return
        bucket = self.buckets[digest[0] << 6 | digest[1] >> 2]
        if not _holds(bucket, digest):
            bucket += digest
            self.count += 1

    def _sort_in(self, digests: list[bytes]) -> None:
        if not self.buckets:
            self.buckets = [bytearray() for _ in range(BUCKETS)]
        buckets = self.buckets
        for digest in digests:
            buckets[digest[0] << 6 | digest[1] >> 2] += digest
        self.count += len(digests)

    def __len__(self) -> int:
        return len(self.others) + self.count


class ClaimedKeys:
    """Digests claimed within the horizon, by day: dropping a day is one del.

    A digest is claimed if all of its bytes are there: none
    is taken for another. The changelog holds digest → day
    (ASCII) and is bounded by time (`cleanup.policy=delete`).
    """

    def __init__(self) -> None:
        self._days: dict[int, _Day] = {}
        self._newest_first: list[_Day] = []

    def load(self, batches: Iterable[list[Message]]) -> int:
        count = 0
        for messages in batches:
            days = {message.value() for message in messages}
            if len(days) == 1:  # nearly always: records of one day come in runs
                self._day(days.pop()).update([message.key() or b"" for message in messages])
            else:
                for day in days:
                    self._day(day).update(
                        [message.key() or b"" for message in messages if message.value() == day]
                    )
            count += len(messages)
        return count

    def __contains__(self, digest: bytes) -> bool:
        # Written out, for it is done for each record
        # and day: calls would take most of the time.
        is_long = len(digest) == DIGEST_BYTES
        bucket = digest[0] << 6 | digest[1] >> 2 if is_long else 0
        for day in self._newest_first:
            if digest in day.others:
                return True
            if is_long and day.buckets:
                found = day.buckets[bucket]
                if digest in found and _holds(found, digest):
                    return True
        return False

    def __len__(self) -> int:
        return sum(map(len, self._newest_first))

    def claim(self, digest: bytes, day: int) -> tuple[bytes, bytes]:
        """Remembers it; returns its changelog record."""
        value = b"%d" % day
        self._day(value).add(digest)
        return digest, value

    def forget_before(self, day: int) -> None:
        old = [known for known in self._days if known < day]
        for known in old:
            del self._days[known]
        if old:
            self._sort()

    def _day(self, value: bytes | None) -> _Day:
        day = int(value or b"0")
        claimed = self._days.get(day)
        if claimed is None:
            claimed = self._days[day] = _Day()
            self._sort()
        return claimed

    def _sort(self) -> None:
        self._newest_first = [self._days[day] for day in sorted(self._days, reverse=True)]


class KeptValues:
    """The newest value of each key; a tombstone removes it.

    The changelog is compacted.
    """

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def load(self, batches: Iterable[list[Message]]) -> int:
        count = 0
        for messages in batches:
            for message in messages:
                self.put(message.key() or b"", message.value())
            count += len(messages)
        return count

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def put(self, key: bytes, value: bytes | None) -> tuple[bytes, bytes | None]:
        """Keeps or removes it; returns its changelog record."""
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        return key, value

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._values.items())
