"""The in-flight record of a process, shared with its parent process through memory.

A record that kills the process that reads it would kill every later process too. When a
child process has died, its parent reads here which record was in flight. A record that was
in flight at three such deaths is quarantined by the next child without being read.
"""

import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import Message

BYTES = 16
_PLACE = struct.Struct("<qq")
_NOTHING = (-1, -1)

Killers = Mapping[int, frozenset[int]]
"""Maps a partition to the offsets of records that must not be read."""


class InFlightRecord:
    """Notes the in-flight record. One instance per process.

    One is enough because a batch is decided without interruption in one thread. Before
    `share`, the record is visible in this process only.
    """

    def __init__(self) -> None:
        self._memory: mmap.mmap | bytearray = bytearray(BYTES)
        self._killers: Killers = {}
        _PLACE.pack_into(self._memory, 0, *_NOTHING)

    def share(self, descriptor: int, killers: Killers) -> None:
        """Uses the parent's memory from now on, and the killers that it found."""
        self._memory = mmap.mmap(descriptor, BYTES)
        self._killers = killers
        _PLACE.pack_into(self._memory, 0, *_NOTHING)

    def each(self, partition: int, messages: Iterable[Message]) -> Iterator[tuple[Message, bool]]:
        """Yields the messages, each with a flag that is True if it must not be read.

        Each message is in flight until the next one is requested.
        """
        killers = self._killers.get(partition, frozenset())
        for message in messages:
            offset = message.offset() or 0
            _PLACE.pack_into(self._memory, 0, partition, offset)
            yield message, offset in killers
        self.clear()

    def clear(self) -> None:
        """Notes that no record is in flight.

        Needed if iteration stops between two records.
        """
        _PLACE.pack_into(self._memory, 0, *_NOTHING)


def shared_memory() -> int:
    """The descriptor of new memory that outlives the child that writes to it."""
    descriptor = os.memfd_create("sensorium-in-flight")
    os.write(descriptor, _PLACE.pack(*_NOTHING))
    return descriptor


def left_in(descriptor: int) -> tuple[int, int] | None:
    """The partition and offset of the record left in flight, or None."""
    place = _PLACE.unpack(os.pread(descriptor, BYTES, 0))
    return None if place == _NOTHING else (place[0], place[1])
