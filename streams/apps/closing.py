"""Closed messages: what assemble keeps of them, and when it forgets them.

A repair has finished these messages.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from schemas.topics import HORIZON_MS
from schemas.versions import UnknownVersion
from streams.lanes.state import KeptValues
from streams.stages.assemble import ClosedMessage, OpenMessage, closed_message

FORGOTTEN_AT_ONCE = 500
HORIZON_DAYS = HORIZON_MS // 86_400_000


@dataclass(slots=True)
class _Old:
    """The keys of a partition that may be forgotten, searched for once per day."""

    day: int
    keys: list[bytes]


_found: "WeakKeyDictionary[KeptValues, _Old]" = WeakKeyDictionary()


def kept_of_closed(state: OpenMessage, today: int) -> bytes | None:
    """The value to keep of a closed message: its version if repaired, else None.

    The version identifies enrichments of a lower repair that arrive late.
    """
    return ClosedMessage(state.last_version, today).to_bytes() if state.generation else None


def forgotten(values: KeptValues, today: int) -> list[tuple[bytes, bytes | None]]:
    """Tombstones for up to FORGOTTEN_AT_ONCE messages older than the horizon.

    By then, anything that could still arrive late is gone from every topic.
    """
    old = _found.get(values)
    if old is None or old.day != today:
        keys = [key for key, value in values.items() if _is_old(value, today)]
        old = _found[values] = _Old(today, keys)
    some = [old.keys.pop() for _ in range(min(FORGOTTEN_AT_ONCE, len(old.keys)))]
    return [values.put(key, None) for key in some if _is_old(values.get(key), today)]


def _is_old(value: bytes | None, today: int) -> bool:
    try:
        closed = None if value is None else closed_message(value)
    except UnknownVersion:  # written by a newer program, which forgets it itself
        return False
    return closed is not None and closed.day < today - HORIZON_DAYS
