"""Many digests in little room: those that were claimed on one day."""

from collections.abc import Iterable, Iterator

import numpy as np

DIGEST_BYTES = 16
SET_IDS = 32_768
"""So many are held in a set. More of them take a fifth of the room in buckets."""
USUAL_IDS = 24
FULL_IDS = 64
"""Digests per bucket: when buckets are made, and when they become more.

A search takes longer in longer ones.
"""
MOST_BITS = 16
"""Up to 65,536 buckets, by the first two bytes of a digest.

With so many keys NumPy sorts in linear time.
"""


def holds(bucket: bytearray, digest: bytes) -> bool:
    """Whether the digest is one of those in the bucket, and not the end of one and the beginning of the next."""
    at = bucket.find(digest)
    while at > 0 and at % DIGEST_BYTES:
        at = bucket.find(digest, at + 1)
    return at >= 0


def each(digests: bytes) -> Iterator[bytes]:
    """The digests that were joined."""
    return (digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES))


class DayDigests:
    """A set while they are few, and buckets when they are many.

    A bucket has those whose first bits are the same, one after another: about 20 bytes each instead of 100.
    """

    __slots__ = ("buckets", "count", "few", "shift")

    def __init__(self) -> None:
        self.few: set[bytes] = set()
        self.buckets: list[bytearray] = []
        self.shift = MOST_BITS
        """The bucket of a digest is its first two bytes as a number, shifted to the right by this."""
        self.count = 0
        """How many the buckets hold.

        One that was added twice by `add_all` counts twice.
        """

    def __len__(self) -> int:
        return len(self.few) + self.count

    def add(self, digest: bytes) -> None:
        """Adds one, whether it is there or not.

        Done for each record that is forwarded: it makes no list.
        """
        if not self.buckets:
            self.few.add(digest)
            if len(self.few) > SET_IDS:
                self.add_all(b"")
            return
        bucket = self.buckets[(digest[0] << 8 | digest[1]) >> self.shift]
        if not holds(bucket, digest):
            bucket += digest
            self.count += 1
            if self._is_full(self.count):
                self.add_all(b"")

    def add_all(self, digests: bytes) -> None:
        """Adds many, joined. One that is there already takes its room again."""
        total = len(self) + len(digests) // DIGEST_BYTES
        if not self.buckets and total <= SET_IDS:
            self.few.update(each(digests))
            return
        if not self.buckets or self._is_full(total):
            bits = min((total // USUAL_IDS).bit_length(), MOST_BITS)
            parts = _parted(b"".join([*self.buckets, *self.few, digests]), bits)
            self.buckets = [bytearray(part) for part in parts]
            self.few, self.shift = set(), MOST_BITS - bits
        elif digests:
            bits = MOST_BITS - self.shift
            for bucket, part in zip(self.buckets, _parted(digests, bits), strict=True):
                bucket += part
        self.count = total

    def _is_full(self, count: int) -> bool:
        return count > FULL_IDS * len(self.buckets) and self.shift > 0


def _parted(digests: bytes, bits: int) -> Iterable[memoryview]:
    """The digests by their first bits, for each value of these.

    No loop in Python goes over the digests.
    """
    firsts = np.frombuffer(digests, ">u2")[:: DIGEST_BYTES // 2].astype(np.uint16)
    firsts >>= MOST_BITS - bits
    order = np.argsort(firsts, kind="stable")
    ordered = np.frombuffer(digests, np.uint64).reshape(-1, 2).take(order, axis=0)
    joined = ordered.data.cast("B")
    begin = 0
    for end in np.cumsum(np.bincount(firsts, minlength=1 << bits) * DIGEST_BYTES).tolist():
        yield joined[begin:end]
        begin = end
