"""Keeps downloaded files that the object store could not take until their job's next try.

A link may be valid for ten minutes, and an outage of the store may last hours. Without
this, each try would download the file again, until no server provides it any more.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from connectors.media.spool import Downloaded

MOST_BYTES = 256 * 1024 * 1024
MOST_FILES = 256
IDLE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class _Held:
    owner: str
    file: Downloaded
    until: float


class HeldFiles:
    """Bounded in bytes, in files and in time.

    The time limit covers jobs that have moved to another process and do not ask again.
    One owner gets at most half of the room. A file that does not fit is discarded and
    has to be downloaded again: it is the newest, so its link is valid for the longest
    time.
    """

    def __init__(
        self,
        *,
        most_bytes: int = MOST_BYTES,
        most_files: int = MOST_FILES,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._held: dict[Hashable, _Held] = {}

    def hold(self, key: Hashable, owner: str, file: Downloaded) -> None:
        """Takes ownership of the file."""
        self._discard_idle()
        if (former := self._held.pop(key, None)) is not None:
            former.file.discard()
        of_owner = [held.file.bytes for held in self._held.values() if held.owner == owner]
        of_all = [held.file.bytes for held in self._held.values()]
        if self._has_room(of_all, file, 1) and self._has_room(of_owner, file, 2):
            self._held[key] = _Held(owner, file, self._clock() + self._idle_seconds)
        else:
            file.discard()

    def take(self, key: Hashable) -> Downloaded | None:
        """Returns ownership of the file, or None if it is no longer held."""
        held = self._held.pop(key, None)
        return held.file if held is not None else None

    def close(self) -> None:
        for held in self._held.values():
            held.file.discard()
        self._held.clear()

    def _has_room(self, sizes: list[int], file: Downloaded, share: int) -> bool:
        return (
            len(sizes) < self._most_files // share
            and sum(sizes) + file.bytes <= self._most_bytes // share
        )

    def _discard_idle(self) -> None:
        now = self._clock()
        for key in [key for key, held in self._held.items() if held.until < now]:
            self._held.pop(key).file.discard()
