"""Reads contexts from Postgres.

Rows that did not change since they were last shown come from a cache.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from connectors.console.change_positions import Moment, before_text, moment_text
from connectors.console.context import Shown, Sign, assemble, encoded, fitting, show
from connectors.console.marker import Marker
from connectors.console.queries import (
    ANY_AGE_SECONDS,
    ConsoleQueries,
    ContextBounds,
    ContextKey,
    Window,
)
from connectors.console.tenant_queue import TenantQueue
from schemas.keys import TenantId

PATIENCE_SECONDS = 30.0
"""How long after its arrival a pending message delays answers that do not wait for its key."""
INLINE_BYTES = 8_192
"""Up to this size rows are rendered on the event loop (under a millisecond); larger
ones in a thread.
"""
INLINE_MESSAGES = 50
CACHE_BYTES = 32 * 1024 * 1024
TENANT_CACHE_BYTES = 4 * 1024 * 1024
THREADS_PER_TENANT = 1
MOST_IN_LINE = 2_000
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="show")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ContextQuery:
    """What a request asks about a conversation, and which messages it waits for."""

    window: Window
    wait_for: Sequence[str] = ()
    quiet_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ContextSnapshot:
    """A conversation at one moment: its messages, newest first, and those that are not finished.

    `waits` is true while something that the request waits for is missing. `is_whole` is
    true if there are no older messages.
    """

    keys: tuple[ContextKey, ...]
    pending: tuple[str, ...]
    moment: Moment
    waits: bool
    is_whole: bool
    again_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """How answers for a tenant are written."""

    marker: Marker
    language: str
    sign: Sign


class Contexts:
    """Reads conversations and renders answers from them."""

    def __init__(self, reading: ConsoleQueries, bounds: ContextBounds) -> None:
        self._reading = reading
        self.bounds = bounds
        self._cache = ShownRows(CACHE_BYTES, TENANT_CACHE_BYTES)
        self._turns = TenantQueue(THREADS_PER_TENANT, MOST_IN_LINE)

    async def look(
        self, tenant_id: TenantId, conversation_id: str, query: ContextQuery
    ) -> ContextSnapshot:
        """Reads the state of a conversation, without the texts of its messages.

        Raises Unavailable and Busy.
        """
        window, wait_for = query.window, query.wait_for
        names = await self._reading.conversation_ids(tenant_id, conversation_id)
        # Read before the keys: a message that finishes in between is waited for once more. In the
        # other order, the answer would end the wait and still show the message as pending.
        statuses = await self._reading.statuses(tenant_id, wait_for) if wait_for else {}
        found, moment = await self._reading.context_keys(tenant_id, names, window, self.bounds)
        keys = _limited(found, window.limit)
        unfinished = [one for one in reversed(keys) if one.is_pending and one.is_within]
        missing = [one for one in wait_for if statuses.get(one, "pending") == "pending"]
        waits = (
            bool(missing)
            if wait_for
            else any(one.age_seconds <= PATIENCE_SECONDS for one in unfinished)
        )
        if window.since is not None:
            waits = waits or not any(one.is_newer and one.is_within for one in keys)
        last = min((one.age_seconds for one in keys if one.is_inbound), default=math.inf)
        stirs = last < query.quiet_seconds
        return ContextSnapshot(
            tuple(keys),
            tuple(dict.fromkeys([*(one.message_key for one in unfinished), *missing])),
            moment,
            waits or stirs,
            window.within_seconds >= ANY_AGE_SECONDS
            and len(found) < self.bounds.messages
            and len(found) <= (window.limit or self.bounds.messages),
            query.quiet_seconds - last if stirs else None,
        )

    async def answer(
        self,
        tenant_id: TenantId,
        conversation_id: str,
        look: ContextSnapshot,
        form: Form,
        more: Mapping[str, Any] = {},
    ) -> bytes:
        """Returns the context as JSON, with the fields of `more` added.

        Raises Unavailable and Busy.
        """
        marker, language = form.marker, form.language
        keys = [one for one in look.keys if one.fits]
        drawn = (marker.frame, language)
        cache_hits = {
            one.message_key: found
            for one in keys
            if (found := self._cache.get(tenant_id, one.message_key, one.stamp, drawn))
        }
        unknown = [one.message_key for one in keys if one.message_key not in cache_hits]
        rows = await self._reading.context_rows(tenant_id, unknown, self.bounds) if unknown else []

        def put_together() -> tuple[bytes, dict[str, Shown]]:
            fresh = {row.message_key: show(row, marker, language) for row in rows}
            chosen = fitting(keys, cache_hits | fresh, self.bounds.total_bytes)
            document = assemble(conversation_id, chosen, look.pending, marker, form.sign)
            return encoded(document | self._around(tenant_id, look, chosen) | dict(more)), fresh

        if sum(row.bytes for row in rows) <= INLINE_BYTES and len(keys) <= INLINE_MESSAGES:
            answer, fresh = put_together()
        else:
            answer, fresh = await self.in_thread(tenant_id, put_together)
        for message_key, one in fresh.items():
            self._cache.put(tenant_id, message_key, one, drawn)
        return answer

    def _around(
        self, tenant_id: TenantId, look: ContextSnapshot, chosen: Sequence[tuple[ContextKey, Shown]]
    ) -> dict[str, str]:
        """Returns the cursors by which the client continues: to later changes and to
        older messages.
        """
        shown = [key for key, _ in chosen if key.is_within]
        is_whole = look.is_whole and len(shown) == len(look.keys)
        oldest = (
            {}
            if is_whole or not shown
            else {"earlier": before_text(tenant_id, shown[0].received_at, shown[0].message_key)}
        )
        return {"as_of": moment_text(tenant_id, look.moment), **oldest}

    async def in_thread(self, tenant_id: TenantId, work: Callable[[], _Result]) -> _Result:
        """Runs work that would block the event loop for too long, one task per tenant at a time.

        Raises Busy.
        """
        async with self._turns.turn(tenant_id):
            return await asyncio.get_running_loop().run_in_executor(_THREADS, work)


def _limited(keys: Sequence[ContextKey], limit: int | None) -> list[ContextKey]:
    """Returns the latest `limit` keys, and of the older ones those whose images are in
    the visual context.
    """
    if limit is None:
        return list(keys)
    return [
        *keys[:limit],
        *(replace(one, is_within=False) for one in keys[limit:] if one.is_recent),
    ]


_Rows = OrderedDict[str, tuple[tuple[str, str], Shown]]


class ShownRows:
    """A cache of rendered rows, limited in bytes per tenant and in total."""

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
        """Returns the row as it was rendered, if neither it nor the `form` (frame and
        language) has changed.
        """
        entry = self._rows.get(tenant_id, _Rows()).get(message_key)
        if entry is None or entry[0] != form or entry[1].stamp != stamp:
            return None
        return entry[1]

    def put(
        self, tenant_id: TenantId, message_key: str, shown: Shown, form: tuple[str, str]
    ) -> None:
        """Stores a rendered row and evicts the oldest ones beyond the limits."""
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
