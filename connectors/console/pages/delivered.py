"""The deliveries of one message: when each came, and which one counts."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.console.pages.reading import NOW, PageReading
from schemas.keys import TenantId

MOST_DELIVERIES = 200
"""How many deliveries of a message one page lists."""
_MOST = 2**31
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSITION = re.compile(r"([0-9]{1,17})\.([0-9]{1,18})\.([0-9]{1,9})")
RecordPlace = tuple[str, int, int]
"""Topic, partition and offset."""


@dataclass(frozen=True, slots=True)
class DeliveryShown:
    """One delivery of the message, or one re-read by a repair.

    `state` is a key of the catalogue after `delivered.`.
    """

    topic: str
    partition: int
    offset: int
    at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Some deliveries of a message, newest first.

    `known` counts the deliveries of all pages. `older` is where the next page begins,
    or "" after the last one.
    """

    rows: list[DeliveryShown]
    known: int
    older: str


async def deliveries_of(
    reading: PageReading,
    tenant_id: TenantId,
    row: Mapping[str, Any],
    opened_by: Set[RecordPlace],
    before: str = "",
) -> DeliveryPage:
    """Returns a page of the deliveries of a message whose times are known.

    A delivery counts if it opened the message (`opened_by`). Every other one is a duplicate,
    or an update of the provider, which changes nothing. A text in `before` that is not a
    position means the newest.
    """
    about = (row["provider"], _identifier(row))
    found = await reading.fetch(
        "deliveries_of_message", tenant_id, *about, *_position(before), MOST_DELIVERIES + 1
    )
    shown = []
    for one in found[:MOST_DELIVERIES]:
        place = (one["topic"], one["partition"], one["offset"])
        shown.append(DeliveryShown(*place, one["received_at"], _state(one, place in opened_by)))
    older = _text(shown[-1]) if len(found) > MOST_DELIVERIES else ""
    return DeliveryPage(shown, found[0]["known"] if found else 0, older)


def _state(row: Mapping[str, Any], has_opened: bool) -> str:
    if not row["deliveries"]:
        return "repair"
    if has_opened:
        return "counts"
    return "update" if row["reason"] == "update" else "again"


async def delivery_at(
    reading: PageReading, tenant_id: TenantId, row: Mapping[str, Any], partition: int, offset: int
) -> Any | None:
    """Returns the topic, partition and offset of one delivery of a message, or None."""
    if not (0 <= partition < _MOST and 0 <= offset < _MOST**2):
        return None
    about = (row["provider"], _identifier(row))
    found = await reading.fetch("delivery_of_message", tenant_id, *about, partition, offset)
    return found[0] if found else None


def _identifier(row: Mapping[str, Any]) -> str:
    """Returns the provider's id of the message."""
    return str(row["message_key"].split(":", 2)[2])


def _position(text: str) -> tuple[datetime, int, int]:
    match = _POSITION.fullmatch(text)
    if match is None:
        return NOW.received_at, 0, 0
    return _EPOCH + timedelta(microseconds=int(match[1])), int(match[2]), int(match[3])


def _text(last: DeliveryShown) -> str:
    micros = (last.at - _EPOCH) // timedelta(microseconds=1)
    return f"{micros}.{last.offset}.{last.partition}"
