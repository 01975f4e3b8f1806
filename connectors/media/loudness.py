"""Detects silence in a sound, and finds quiet places at which to cut it."""

from array import array
from collections.abc import Iterable, Iterator
from operator import mul
from typing import TypeAlias

Samples: TypeAlias = "array[int]"
RATE = 16_000
_WINDOW = RATE // 20
_FLOOR: float = 32_768 * 10 ** (-60 / 20)
_FLOOR_POWER: float = _FLOOR * _FLOOR
"""The power below which a window is silent: -60 dBFS.

Dither is about 30 dB below it; a voice recorded 30 dB too quietly is about 10 dB above
it.
"""
_LEAST_LOUD_WINDOWS = 3
"""A sound has speech if at least this many windows (150 ms) are loud.

That is shorter than a spoken "no" and longer than the click of a button.
"""
_MOST_SEARCH_SECONDS = 15.0
_QUIET_WINDOWS = 4
_SHORTEST_PART = RATE // 2


class Loudness:
    """Examines 16-bit samples at RATE until it has found enough sound."""

    def __init__(self) -> None:
        self._loud = 0
        self._rest: Samples = array("h")

    @property
    def silent(self) -> bool:
        return self._loud < _LEAST_LOUD_WINDOWS

    def add(self, pcm: Samples) -> None:
        held = self._rest + pcm if self.silent else array("h")
        whole = len(held) - len(held) % _WINDOW
        for at in range(0, whole, _WINDOW):
            self._loud += self.silent and _is_loud(held[at : at + _WINDOW])
        self._rest = held[whole:]


def cut(pieces: Iterable[Samples], part_seconds: float | None) -> Iterator[tuple[Samples, bool]]:
    """Yields the samples again; True marks the end of a part of at most `part_seconds`.

    A part ends at its quietest place within the last quarter before the limit, and at
    most 15 s before it.
    """
    held: Samples = array("h")
    yielded = 0
    most = int(part_seconds * RATE) if part_seconds else 0
    search = int(min(_MOST_SEARCH_SECONDS * RATE, most / 4))
    for piece in pieces:
        held.extend(piece)
        while most and yielded + len(held) > most:
            at = _quietest(held, max(0, most - search - yielded), most - yielded)
            yield held[:at], True
            del held[:at]
            yielded = 0
        ready = min(len(held), most - search - yielded) if most else len(held)
        if ready > 0:
            yield held[:ready], False
            del held[:ready]
            yielded += ready
    if 0 < yielded + len(held) < _SHORTEST_PART:  # a model refuses shorter sounds
        held.extend(array("h", bytes(2 * (_SHORTEST_PART - yielded - len(held)))))
    if held or yielded:
        yield held, True


def _quietest(held: Samples, first: int, last: int) -> int:
    """The middle of the quietest 200 ms between `first` and `last`, or `last` if too short.

    Of several equally quiet places the last one is chosen.
    """
    levels = []
    for at in range(first, last - _WINDOW + 1, _WINDOW):
        window = held[at : at + _WINDOW]
        levels.append(max(window) - min(window))
    if len(levels) < _QUIET_WINDOWS:
        return last
    sums = [sum(levels[at : at + _QUIET_WINDOWS]) for at in range(len(levels) - _QUIET_WINDOWS + 1)]
    quietest = min(range(len(sums)), key=lambda at: (sums[at], -at))
    return first + quietest * _WINDOW + _QUIET_WINDOWS * _WINDOW // 2


def _is_loud(window: Samples) -> bool:
    """Compares the window's power, without its DC offset, with the floor.

    Half of the peak-to-peak range bounds that power from above, so a quiet window needs
    no further computation.
    """
    if max(window) - min(window) <= 2 * _FLOOR:
        return False
    mean = sum(window) / len(window)
    power: float = sum(map(mul, window, window)) / len(window)
    return power - mean * mean > _FLOOR_POWER
