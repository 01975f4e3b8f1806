"""A set that keeps the digests claimed on one day in little memory."""

from collections.abc import Iterable, Iterator

import numpy as np

DIGEST_BYTES = 16
SET_IDS = 32_768
"""Up to this many digests are kept in a Python set.

Buckets take a fifth of its memory.
"""
USUAL_IDS = 24
FULL_IDS = 64
"""The average number of digests per bucket.

It is at most USUAL_IDS when buckets are made. When it exceeds FULL_IDS, the digests are
divided into more buckets, because a search takes longer in longer ones.
"""
MOST_BITS = 16
"""There are at most 65,536 buckets, selected by the first two bytes of a digest.

NumPy sorts keys of 16 bits in linear time.
"""


def holds(bucket: bytearray, digest: bytes) -> bool:
    """True if the bucket contains the digest.

    A match that does not begin at a multiple of DIGEST_BYTES does not count: it is the end
    of one digest and the beginning of the next.
    """
    at = bucket.find(digest)
    while at > 0 and at % DIGEST_BYTES:
        at = bucket.find(digest, at + 1)
    return at >= 0


def each(digests: bytes) -> Iterator[bytes]:
    """Yields each of the joined digests."""
    return (digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES))


class DayDigests:
    """Keeps digests in a Python set while they are few, and in buckets when they are many.

    A bucket is the joined digests whose first bits are the same. A digest takes about 20
    bytes in a bucket and about 100 in a set.
    """

    __slots__ = ("buckets", "count", "few", "shift")

    def __init__(self) -> None:
        self.few: set[bytes] = set()
        self.buckets: list[bytearray] = []
        self.shift = MOST_BITS
        """A bucket's index is a digest's first two bytes, shifted right by this."""
        self.count = 0
        """The number of digests in the buckets.

        A digest that `add_all` added twice counts twice.
        """

    def __len__(self) -> int:
        return len(self.few) + self.count

    def add(self, digest: bytes) -> None:
        """Adds a digest unless it is already there.

        This runs for each forwarded record, so it creates no list.
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
        """Adds joined digests. A digest that is in a bucket already is stored again."""
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
    """Yields, for each value of the first `bits` bits, the joined digests that begin with it.

    NumPy does the sorting, because a Python loop over all digests would be slow.
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
