"""Contexts from Postgres: what did not change since it was last shown is neither read nor shown
again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from connectors.console.context import Shown, Sign, assemble, encoded, show
from connectors.console.marker import Marker
from connectors.console.reading import ContextBounds, ContextKey, Reading
from connectors.console.turns import Turns
from schemas.keys import TenantId

INLINE_BYTES = 8_192
"""So much is shown on the event loop, within a millisecond; more in a thread."""
INLINE_MESSAGES = 50
CACHE_BYTES = 32 * 1024 * 1024
TENANT_CACHE_BYTES = 4 * 1024 * 1024
THREADS_PER_TENANT = 1
MOST_IN_LINE = 2_000
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="show")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Look:
    """A conversation at one moment: its messages, newest first, and what is not finished."""

    keys: tuple[ContextKey, ...]
    pending: tuple[str, ...]


class Contexts:
    """Looks at conversations and answers with them."""

    def __init__(self, reading: Reading, bounds: ContextBounds) -> None:
        self._reading = reading
        self._bounds = bounds
        self._cache = ShownRows(CACHE_BYTES, TENANT_CACHE_BYTES)
        self._turns = Turns(THREADS_PER_TENANT, MOST_IN_LINE)

    async def look(
        self,
        tenant_id: TenantId,
        conversation_id: str,
        within_seconds: float,
        wait_for: Sequence[str],
    ) -> Look:
        """Reads no text of a message. Raises Unavailable and Busy."""
        names = await self._reading.conversation_ids(tenant_id, conversation_id)
        keys = await self._reading.context_keys(tenant_id, names, within_seconds, self._bounds)
        statuses = await self._reading.statuses(tenant_id, wait_for) if wait_for else {}
        pending = [one.message_key for one in reversed(keys) if one.is_pending and one.is_within]
        missing = [one for one in wait_for if statuses.get(one, "pending") == "pending"]
        return Look(tuple(keys), tuple(dict.fromkeys([*pending, *missing])))

    async def answer(
        self,
        tenant_id: TenantId,
        conversation_id: str,
        look: Look,
        marker: Marker,
        language: str,
        sign: Sign,
    ) -> bytes:
        """The context as JSON. Raises Unavailable and Busy."""
        wanted = [one for one in look.keys if one.fits]
        form = (marker.frame, language)
        kept = {
            one.message_key: found
            for one in wanted
            if (found := self._cache.get(tenant_id, one.message_key, one.stamp, form))
        }
        unknown = [one.message_key for one in wanted if one.message_key not in kept]
        rows = await self._reading.context_rows(tenant_id, unknown, self._bounds) if unknown else []

        def put_together() -> tuple[bytes, dict[str, Shown]]:
            fresh = {row.message_key: show(row, marker, language) for row in rows}
            bound = self._bounds.total_bytes
            document = assemble(
                conversation_id, wanted, kept | fresh, look.pending, marker, sign, bound
            )
            return encoded(document), fresh

        if sum(row.bytes for row in rows) <= INLINE_BYTES and len(wanted) <= INLINE_MESSAGES:
            answer, fresh = put_together()
        else:
            answer, fresh = await self.in_thread(tenant_id, put_together)
        for message_key, one in fresh.items():
            self._cache.put(tenant_id, message_key, one, form)
        return answer

    async def in_thread(self, tenant_id: TenantId, work: Callable[[], _Result]) -> _Result:
        """Work that is too long for the event loop; of one tenant one at a time. Raises Busy."""
        async with self._turns.turn(tenant_id):
            return await asyncio.get_running_loop().run_in_executor(_THREADS, work)


_Rows = OrderedDict[str, tuple[tuple[str, str], Shown]]


class ShownRows:
    """The rows that were shown last, per tenant within its bytes, and the tenants within theirs."""

    def __init__(self, most_bytes: int, tenant_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._tenant_bytes = tenant_bytes
        self._rows: OrderedDict[TenantId, _Rows] = OrderedDict()
        self._used: dict[TenantId, int] = {}
        self._all_used = 0

    def get(
        self,
        tenant_id: TenantId,
        message_key: str,
        stamp: tuple[int, datetime],
        form: tuple[str, str],
    ) -> Shown | None:
        """The row as it was shown, if neither it nor the `form` (frame and language) changed."""
        kept = self._rows.get(tenant_id, _Rows()).get(message_key)
        return kept[1] if kept is not None and kept[0] == form and kept[1].stamp == stamp else None

    def put(
        self, tenant_id: TenantId, message_key: str, shown: Shown, form: tuple[str, str]
    ) -> None:
        """Keeps it, and lets go of what was put longest ago beyond the bounds."""
        rows = self._rows.setdefault(tenant_id, _Rows())
        self._rows.move_to_end(tenant_id)
        before = rows.pop(message_key, None)
        rows[message_key] = (form, shown)
        gained = shown.bytes - (before[1].bytes if before else 0)
        while self._used.get(tenant_id, 0) + gained > self._tenant_bytes:
            _, (_, oldest) = rows.popitem(last=False)
            gained -= oldest.bytes
        self._used[tenant_id] = self._used.get(tenant_id, 0) + gained
        self._all_used += gained
        while self._all_used > self._most_bytes:
            forgotten, _ = self._rows.popitem(last=False)
            self._all_used -= self._used.pop(forgotten)
