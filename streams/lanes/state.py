"""What a lane's table holds for one partition."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from confluent_kafka import Message


class PartitionState(Protocol):
    """Rebuilt from the partition's changelog when the lane opens; dropped with the lane."""

    def load(self, batches: Iterable[list[Message]]) -> int:
        """Takes all records of the changelog in order and returns how many there were. Runs in the lane's thread."""
        ...


class ClaimedKeys:
    """Digests claimed within the horizon, one set a day: dropping a day is one del, an id costs about 100 bytes.

    The changelog holds digest → day (ASCII) and is bounded by time (`cleanup.policy=delete`).
    """

    def __init__(self) -> None:
        self._days: dict[int, set[bytes]] = {}
        self._newest_first: list[set[bytes]] = []

    def load(self, batches: Iterable[list[Message]]) -> int:
        count = 0
        last_value: bytes | None = None
        members: set[bytes] = set()
        for messages in batches:
            for message in messages:
                value = message.value()
                if value != last_value:  # records of one day come in runs
                    last_value, members = value, self._days.setdefault(int(value or b"0"), set())
                members.add(message.key() or b"")
            count += len(messages)
        self._sort()
        return count

    def __contains__(self, digest: bytes) -> bool:
        for members in self._newest_first:  # noqa: SIM110  # any() would make a generator for each record: a quarter of a batch's time
            if digest in members:
                return True
        return False

    def __len__(self) -> int:
        return sum(map(len, self._newest_first))

    def claim(self, digest: bytes, day: int) -> tuple[bytes, bytes]:
        """Remembers it; returns its changelog record."""
        members = self._days.get(day)
        if members is None:
            members = self._days[day] = set()
            self._sort()
        members.add(digest)
        return digest, b"%d" % day

    def forget_before(self, day: int) -> None:
        for old in [d for d in self._days if d < day]:
            del self._days[old]
        self._sort()

    def _sort(self) -> None:
        self._newest_first = [self._days[day] for day in sorted(self._days, reverse=True)]


class KeptValues:
    """The newest value of each key; a tombstone removes it. The changelog is compacted."""

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
