"""The contents of a lane's table for one partition."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from confluent_kafka import Message


class PartitionState(Protocol):
    """The state of one partition, dropped with its lane.

    It is rebuilt from the partition's changelog when a lane opens.
    """

    def load(self, batches: Iterable[list[Message]]) -> int:
        """Loads all changelog records in order and returns their number.

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
        """Stores or removes the value and returns its changelog record."""
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        return key, value

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._values.items())
