"""Positions in a tenant's changes, and the opaque cursors that lead clients back to them. Pure."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from connectors.errors import ConnectorsError
from schemas.keys import TenantId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**63 - 1
_FEED, _MOMENT, _MESSAGE = "f", "m", "b"
"""The first character of a cursor says what it points to.

`f` is a position in the feed, `m` a moment, `b` a message of a conversation.
"""


class ChangePosition(NamedTuple):
    """The position of one change among all changes of a tenant. Changes are served in this order.

    `era` is the start of the database server during which it was written, `xid` its
    transaction.
    """

    era: int
    xid: int
    received_at: datetime
    message_key: str


BEGINNING = ChangePosition(-1, 0, _EPOCH, "")


@dataclass(frozen=True, slots=True)
class Edge:
    """The position up to which changes are complete.

    Every change before (`era`, `xid`) is committed, and no further change can be
    written there. The next transaction has at least (`next_era`, `next_xid`).
    """

    era: int
    xid: int
    next_era: int
    next_xid: int

    def can_hold(self, place: ChangePosition) -> bool:
        """Returns False for a position that this database cannot have issued yet,
        because it is ahead of all transactions.
        """
        return (place.era, place.xid) < (self.next_era, self.next_xid)


@dataclass(frozen=True, slots=True)
class Moment:
    """The set of transactions that were committed when something was read.

    `snapshot` is in the text form of `pg_current_snapshot()`.
    """

    era: int
    snapshot: str


class NoCursor(ConnectorsError):
    """The text is not a cursor that was issued to this tenant for this purpose."""


def place_text(tenant_id: TenantId, place: ChangePosition) -> str:
    return _text(
        _FEED, tenant_id, [place.era, place.xid, _since_epoch(place.received_at), place.message_key]
    )


def place_of(tenant_id: TenantId, text: str) -> ChangePosition:
    """Raises NoCursor."""
    era, xid, received_at, message_key = _parts(_FEED, tenant_id, text, (int, int, int, str))
    return ChangePosition(era, xid, _moment(received_at), message_key)


def moment_text(tenant_id: TenantId, moment: Moment) -> str:
    return _text(_MOMENT, tenant_id, [moment.era, moment.snapshot])


def moment_of(tenant_id: TenantId, text: str) -> Moment:
    """Raises NoCursor."""
    era, snapshot = _parts(_MOMENT, tenant_id, text, (int, str))
    oldest, _, rest = snapshot.partition(":")
    next_one, _, running = rest.partition(":")
    numbers = [oldest, next_one, *(running.split(",") if running else [])]
    if not all(one.isascii() and one.isdigit() and len(one) < 19 for one in numbers):
        raise NoCursor
    values = [int(one) for one in numbers]
    if not 0 < values[0] <= values[1] or values[2:] != sorted(set(values[2:])):
        raise NoCursor
    if any(not values[0] <= one < values[1] for one in values[2:]):
        raise NoCursor
    return Moment(era, snapshot)


def before_text(tenant_id: TenantId, received_at: datetime, message_key: str) -> str:
    return _text(_MESSAGE, tenant_id, [_since_epoch(received_at), message_key])


def before_of(tenant_id: TenantId, text: str) -> tuple[datetime, str]:
    """Raises NoCursor."""
    received_at, message_key = _parts(_MESSAGE, tenant_id, text, (int, str))
    return _moment(received_at), message_key


def _since_epoch(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    try:
        return _EPOCH + microseconds * _MICROSECOND
    except OverflowError:
        raise NoCursor from None


def _mark(tenant_id: TenantId) -> str:
    """A digest of the tenant that is part of each of its cursors.

    A cursor of another tenant must be refused, because it would silently skip changes.
    """
    return hashlib.blake2b(tenant_id.encode(), digest_size=4).hexdigest()


def _text(use: str, tenant_id: TenantId, parts: list[Any]) -> str:
    packed = json.dumps([_mark(tenant_id), *parts], separators=(",", ":"), ensure_ascii=False)
    return use + urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def _parts(use: str, tenant_id: TenantId, text: str, kinds: tuple[type, ...]) -> list[Any]:
    try:
        packed = text.removeprefix(use) if text.startswith(use) else ""
        found = json.loads(urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    except (ValueError, RecursionError):
        raise NoCursor from None
    if not isinstance(found, list) or len(found) != len(kinds) + 1:
        raise NoCursor
    mark, *parts = found
    if mark != _mark(tenant_id) or any(
        type(part) is not kind for part, kind in zip(parts, kinds, strict=True)
    ):
        raise NoCursor
    for part in parts:
        if isinstance(part, int) and abs(part) > _LARGEST:
            raise NoCursor
        if isinstance(part, str) and ("\0" in part or not part.isprintable()):
            raise NoCursor
    return parts
