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
