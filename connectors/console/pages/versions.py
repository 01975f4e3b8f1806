"""The route of a message's versions that the topic still has, side by side."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.bubbles import AttachedFile, files_of
from connectors.console.pages.conversations import may_see
from connectors.console.pages.messages import VERSIONS, message_row
from connectors.console.pages.other_roles import ShownRecord
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import visit_of
from schemas.topics import DAY_MS, HORIZON_MS

KEPT_DAYS = HORIZON_MS // DAY_MS
"""The topic keeps every version for this time, and afterwards the newest of each message."""
EVERY = timedelta(seconds=60)
LONGEST_LAG = timedelta(hours=1)
OPENING_STEPS = VERSIONS // 5
"""Version numbers per opening; a test compares it with the number in assemble."""


@dataclass(frozen=True, slots=True)
class VersionShown:
    """One version; its content is empty if it is masked."""

    version: int
    status: str
    at: datetime
    place: str
    text: str
    files: tuple[AttachedFile, ...]

    @property
    def generation(self) -> int:
        """0 for the first run, higher for versions that a repair made."""
        return self.version // VERSIONS


def add_versions(router: APIRouter, pages: PageParts) -> None:
    """Adds the route."""
    reading = pages.reading

    @router.get("/t/{tenant}/m/{ref}/versions", name="versions")
    async def versions(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        row = await message_row(reading, pages, tenant_id, ref)
        key, conversation = row["message_key"], row["conversation_id"]
        sees = await may_see(pages, visit, tenant_id, conversation)
        steps = await reading.fetch("steps_of", tenant_id, key)
        moments = moments_of([step["at"] for step in steps], row["enriched_at"])
        async with pages.kafka.turn(tenant_id):
            found = await pages.other_roles.read_versions(tenant_id, conversation, key, moments)
        shown = [
            version_shown(place, record, is_masked=not sees)
            for place, record in found.versions
            if record.tenant == tenant_id
        ]
        if shown and sees:
            await pages.people.note(tenant_id, visit.person.name, "record_seen", f"{key} versions")
        return visit.page(
            "versions.html",
            tenant=tenant_id,
            section="conversations",
            ref=ref,
            versions=shown,
            newest=row["version"],
            is_whole=found.is_whole,
            missing=missing_from({one.version for one in shown}, row["version"]) if shown else "",
            sees=sees,
            days=KEPT_DAYS,
        )


def moments_of(steps: Sequence[datetime], written_at: datetime) -> list[datetime]:
    """Returns the times around which versions may have been written.

    These are the times of the steps. If assemble was behind, the newest version was
    written later than the last step, so the same delay is covered after each step.
    """
    lag = min(written_at - max(steps), LONGEST_LAG) if steps else timedelta(0)
    minutes = range(1, int(lag / EVERY) + 2) if lag > EVERY else ()
    return [*steps, *(at + number * EVERY for at in steps for number in minutes), written_at]


def missing_from(found: Set[int], newest: int) -> str:
    """Returns the versions that must exist and were not found, as `2, 5–7`.

    assemble numbers the versions of an opening without gaps.
    """
    last: dict[int, int] = {}
    for version in (*found, newest):
        opening = (version - 1) // OPENING_STEPS
        last[opening] = max(version, last.get(opening, 0))
    expected = (
        number
        for opening, until in sorted(last.items())
        for number in range(opening * OPENING_STEPS + 1, until + 1)
    )
    runs: list[tuple[int, int]] = []
    for number in expected:
        if number in found:
            continue
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in runs)


def version_shown(place: str, record: ShownRecord, *, is_masked: bool) -> VersionShown:
    """Returns the version in a record of `enriched-messages`."""
    value = record.value
    version = value.get("version")
    attributes = _attributes(value)
    return VersionShown(
        version=version if isinstance(version, int) else 0,
        status=str(value.get("status") or ""),
        at=record.at,
        place=place,
        text="" if is_masked else str(value.get("content") or ""),
        files=files_of(attributes, is_masked=is_masked),
    )


def _attributes(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the attributes of the message, empty if they were truncated or cannot be parsed."""
    try:
        found = msgspec.json.decode(value.get("content_attributes") or "{}")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
