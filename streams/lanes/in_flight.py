"""Which record a process has in hand while it
decides, told to its parent through shared memory.

A record that kills the process that reads it would be read again by the
next one, for ever. The parent looks here when its child is dead; when the
same record was in hand three times, the next child sets it aside unread.
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
"""Partition → offsets of records not to be read."""


class InFlightRecord:
    """One a process: a batch is decided in one go, in one thread.

    Until `share` nobody looks.
    """

    def __init__(self) -> None:
        self._memory: mmap.mmap | bytearray = bytearray(BYTES)
        self._killers: Killers = {}
        _PLACE.pack_into(self._memory, 0, *_NOTHING)

    def share(self, descriptor: int, killers: Killers) -> None:
        """The parent's memory, and what the parent knows."""
        self._memory = mmap.mmap(descriptor, BYTES)
        self._killers = killers
        _PLACE.pack_into(self._memory, 0, *_NOTHING)

    def each(self, partition: int, messages: Iterable[Message]) -> Iterator[tuple[Message, bool]]:
        """The messages one by one, each in hand until the next
        is asked for; with each whether it is one not to be read.
        """
        killers = self._killers.get(partition, frozenset())
        for message in messages:
            offset = message.offset() or 0
            _PLACE.pack_into(self._memory, 0, partition, offset)
            yield message, offset in killers
        self.lay_down()

    def lay_down(self) -> None:
        """Nothing is in hand. For who stops between two records."""
        _PLACE.pack_into(self._memory, 0, *_NOTHING)


def shared_memory() -> int:
    """A descriptor of memory that outlives the child that writes to it."""
    descriptor = os.memfd_create("sensorium-hand")
    os.write(descriptor, _PLACE.pack(*_NOTHING))
    return descriptor


def left_in(descriptor: int) -> tuple[int, int] | None:
    """Partition and offset of the record that was in hand last; None: none was."""
    place = _PLACE.unpack(os.pread(descriptor, BYTES, 0))
    return None if place == _NOTHING else (place[0], place[1])
