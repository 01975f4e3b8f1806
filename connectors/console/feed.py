"""The feed: a tenant's new and changed messages, in an order in which no change can be missed.

A change is served only when it is complete, that is, when every transaction that could
still write before it has ended (`Edge`). A reader that continues after the last
position it saw therefore misses nothing, however many sinks write at once and in
whichever order they commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.console.change_positions import (
    BEGINNING,
    ChangePosition,
    Edge,
    NoCursor,
    place_of,
    place_text,
)
from connectors.console.context import Shown, encoded, show, signed
from connectors.console.contexts import Contexts, Form
from connectors.console.parameters import problem_of_cursor
from connectors.console.problems import ConsoleProblem
from connectors.console.queries import Change, ConsoleQueries, ContextBounds, ContextRow
from schemas.keys import TenantId
from schemas.records import GENERATION_STEPS
from storage.waiting import BackOff

LATEST = "latest"
SCANNED = 2_000
"""How many changes one look scans for those that match a filter, before the answer says `more`."""
FIRST_AGAIN_SECONDS = 0.02
LONGEST_AGAIN_SECONDS = 1.0
"""Longest delay before a waiting request looks again while a visible change is not complete yet."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages a request wants to see; others are skipped."""

    conversation_id: str | None = None
    statuses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Page:
    """Changes in feed order, and the position after which the next page begins."""

    changes: tuple[Change, ...]
    end: ChangePosition
    more: bool
    again_seconds: float | None = None

    @property
    def waits(self) -> bool:
        return not self.changes and not self.more


class FeedReader:
    """Reads the changes of a tenant for one request."""

    def __init__(
        self, reading: ConsoleQueries, tenant_id: TenantId, feed_filter: Filter, limit: int
    ) -> None:
        self._reading = reading
        self._tenant_id = tenant_id
        self._filter = feed_filter
        self._limit = limit
        self._at = BEGINNING
        self._again = BackOff(FIRST_AGAIN_SECONDS, LONGEST_AGAIN_SECONDS)

    async def begin(self, after: str | None) -> None:
        """Moves to the position of the client's cursor.

        Raises ConsoleProblem 422 for an invalid cursor, and 410 for one that this
        database cannot have issued.
        """
        if after is None:
            return
        edge = await self._reading.edge(self._tenant_id)
        if after == LATEST:
            self._at = await self._reading.last_change(self._tenant_id, edge) or BEGINNING
            return
        try:
            self._at = place_of(self._tenant_id, after)
        except NoCursor:
            raise problem_of_cursor("after", "`cursor` of an earlier answer, or latest") from None
        if not edge.can_hold(self._at):
            raise ConsoleProblem(
                410,
                "after: this cursor is ahead of the database, which was restored or copied since."
                " Continue without after (reads everything again) or with after=latest (reads only"
                " what changes from now on)",
            )

    async def look(self) -> Page:
        """Returns the next page. Changes that the filter skipped are not scanned again."""
        edge = await self._reading.edge(self._tenant_id)
        is_narrow = self._filter.conversation_id is not None or bool(self._filter.statuses)
        most = SCANNED if is_narrow else self._limit
        scanned = await self._reading.changes(self._tenant_id, self._at, edge, most)
        found = await self._matching(scanned)
        if len(found) > self._limit:
            found = found[: self._limit]
            self._at = found[-1].place
            return Page(tuple(found), self._at, True)
        if scanned:
            self._at = scanned[-1].place
        if found or len(scanned) == most:
            return Page(tuple(found), self._at, len(scanned) == most)
        return Page((), self._at, False, await self._until_complete(edge))

    async def _until_complete(self, edge: Edge) -> float | None:
        """Returns how soon to look again, or None if every visible change could be served.

        It uses the edge of the same look. With a later edge, a change that has become
        complete since then would be neither served now nor looked for soon.
        """
        if not await self._reading.has_incomplete_changes(self._tenant_id, edge):
            self._again.reset()
            return None
        return self._again.pause()

    async def _matching(self, changes: Sequence[Change]) -> list[Change]:
        """Returns the changes that match the filter, without private notes, as in a context."""
        found = [one for one in changes if one.kind != "note"]
        if self._filter.statuses:
            found = [one for one in found if one.status in self._filter.statuses]
        if self._filter.conversation_id is not None and found:
            # Read after the changes, so that ids that came with one of them are known.
            names = set(
                await self._reading.conversation_ids(self._tenant_id, self._filter.conversation_id)
            )
            found = [one for one in found if one.conversation_id in names]
        return found


async def feed_answer(
    reading: ConsoleQueries, contexts: Contexts, tenant_id: TenantId, page: Page, form: Form
) -> bytes:
    """Returns the page as JSON. Messages beyond the size limit are left for the next page.

    A message that was deleted meanwhile is left out. One that changed is shown in its
    current version, and appears again at its new position.
    """
    bounds = contexts.bounds
    keys = [one.place.message_key for one in page.changes]
    rows = await reading.context_rows(tenant_id, keys, bounds) if keys else []
    return await contexts.in_thread(
        tenant_id, lambda: encoded(_document(tenant_id, page, rows, form, bounds))
    )


def _document(
    tenant_id: TenantId,
    page: Page,
    rows: Sequence[ContextRow],
    form: Form,
    bounds: ContextBounds,
) -> dict[str, Any]:
    marker, end, used = form.marker, page.end, 0
    by_key = {row.message_key: row for row in rows}
    chosen: list[tuple[Change, ContextRow, Shown]] = []
    for change in page.changes:
        row = by_key.get(change.place.message_key)
        if row is None:
            continue
        shown = show(row, marker, form.language)
        if chosen and used + shown.bytes > bounds.total_bytes:
            break
        used += shown.bytes
        chosen.append((change, row, shown))
    if chosen and chosen[-1][0] is not page.changes[-1]:
        end = chosen[-1][0].place  # the rest did not fit or was deleted: the next page decides
    documents = marker.joined(
        *(shown.part for _, _, shown in chosen),
        *(marker.defuse(_origin(row)) for _, row, _ in chosen),
    )
    nonce = marker.drawn_nonce()
    messages = [
        documents[index]
        | documents[index + len(chosen)]
        | {
            "attachments": signed(documents[index]["attachments"], form.sign),
            "visual_context": "\n".join(marker.framed(one, nonce) for one in shown.descriptions),
        }
        for index, (_, _, shown) in enumerate(chosen)
    ]
    return {
        "messages": messages,
        "cursor": place_text(tenant_id, end),
        "more": page.more or end != page.end,
        **({"visual_context_nonce": nonce} if nonce else {}),
    }


def _origin(row: ContextRow) -> dict[str, Any]:
    return {
        "conversation_id": row.conversation_id,
        "provider": row.provider,
        "sender_id": row.sender_id,
        "sender_name": row.sender_name,
        "received_at": row.received_at.isoformat(),
        "changed_at": row.stamp[1].isoformat(),
        "generation": row.stamp[0] // GENERATION_STEPS,
    }
