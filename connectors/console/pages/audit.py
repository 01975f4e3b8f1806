"""Routes of the audit log: the filtered list of who did what, and its export as a file."""

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from connectors.console.pages.parts import PageParts
from connectors.console.pages.reading import PageReading
from connectors.console.pages.refs import Refs
from connectors.console.pages.repairing import moment_of
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from connectors.console.pages.words import catalogue
from connectors.console.tenant_queue import Busy
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from storage.postgres.people import EVERY_TENANT
from storage.postgres.repair_plans import RepairError

PAGE = 100
PORTION = 1_000
"""How many rows of an export are in memory at a time."""
_LAST = 2**62
_COMMAND_IN_A_SHEET = ("=", "+", "-", "@", "\t", "\r")
_FILE = re.compile(r"(.+) file ([0-9]{1,6})")
_RECORD = re.compile(r"(.+) (versions|[a-z-]+\[[0-9]+\]@[0-9]+)")
_COLUMNS = ("at", "actor", "action", "detail", "tenant")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Selects the entries of tenants before an entry.

    Optionally only those of one person, one action, and a span of time, whose end is
    not included.
    """

    tenants: tuple[str, ...]
    before: int
    actor: str
    action: str
    since: datetime | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        """What is chosen, for the entry of an export."""
        times = (("from", self.since), ("to", self.until))
        span = [f"{word} {at:%Y-%m-%dT%H:%M:%SZ}" for word, at in times if at is not None]
        return " ".join(filter(None, (self.actor, self.action, *span))) or "everything"


def add_audit(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    reading = pages.reading

    @router.get("/t/{tenant}/audit", name="audit")
    async def audit(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        audit_filter = _filter(visit, tenant_id)
        rows = await _entries(reading, tenant_id, audit_filter, PAGE + 1)
        choices = await reading.fetch("audit_choices", tenant_id, list(audit_filter.tenants))
        return visit.page(
            "audit.html",
            tenant=tenant_id,
            section="audit",
            rows=[shown_entry(row, pages.refs, tenant_id) for row in rows[:PAGE]],
            older=rows[PAGE - 1]["id"] if len(rows) > PAGE else None,
            actions=sorted({row["action"] for row in choices} | known_actions()),
            actors=sorted({row["actor"] for row in choices if row["actor"]}),
            chosen=_chosen(visit),
        )

    @router.get("/t/{tenant}/audit.csv", name="audit-file")
    async def audit_file(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        audit_filter = _filter(visit, tenant_id)
        first = await _entries(reading, tenant_id, audit_filter, PORTION)
        await pages.people.note(tenant_id, visit.person.name, "audit_exported", str(audit_filter))
        return StreamingResponse(
            whole_table(reading, tenant_id, audit_filter, first),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="audit-{tenant_id}.csv"'},
        )


@dataclass(frozen=True, slots=True)
class EntryShown:
    """An entry as a person reads it.

    `href` leads to the page of what was looked at, if there is one. `file` is the
    number of a file of the message, counted from 1, or 0 for none.
    """

    at: Any
    actor: str
    action: str
    tenant_id: str
    detail: str
    href: str = ""
    file: int = 0


def shown_entry(row: Any, refs: Refs, tenant_id: TenantId) -> EntryShown:
    """Renders an entry. Message keys become references if a page shows what the entry is about."""
    detail, href, file = row["detail"], "", 0
    match row["action"]:
        case "media_seen" if found := _FILE.fullmatch(detail):
            detail, file = "", int(found[2]) + 1
            href = f"/t/{tenant_id}/m/{refs.of(tenant_id, 'm', found[1])}"
        case "record_seen" if found := _RECORD.fullmatch(detail):
            detail, href = found[2], f"/t/{tenant_id}/m/{refs.of(tenant_id, 'm', found[1])}"
        case "context_seen" if refs.open(tenant_id, "c", detail) is not None:
            detail, href = "", f"/t/{tenant_id}/c/{detail}"
        case "conversation_unmasked" if ": " in detail:
            ref = refs.of(tenant_id, "c", detail.partition(": ")[0])
            href = f"/t/{tenant_id}/c/{ref}"
    return EntryShown(row["at"], row["actor"], row["action"], row["tenant_id"], detail, href, file)


async def whole_table(
    reading: PageReading, tenant_id: TenantId, audit_filter: AuditFilter, rows: list[Any]
) -> AsyncIterator[str]:
    """Yields the table from these rows back to the oldest entry.

    The answer has already begun if Postgres becomes unavailable, so the last line then
    says where to continue.
    """
    yield _line(_COLUMNS)
    while rows:
        yield as_csv(rows)
        if len(rows) < PORTION:
            return
        audit_filter = replace(audit_filter, before=rows[-1]["id"])
        try:
            rows = await _entries(reading, tenant_id, audit_filter, PORTION)
        except (Unavailable, Busy):
            yield _line(("", "", "INCOMPLETE", f"continue with ?before={audit_filter.before}", ""))
            return


def _filter(visit: Visit, tenant_id: TenantId) -> AuditFilter:
    """Reads the filter from the query.

    An admin of every tenant also sees the entries that concern all tenants at once.
    """
    query = visit.request.query_params
    before = query.get("before", "")
    last = int(before) if before.isascii() and before.isdigit() and len(before) < 18 else _LAST
    tenants = (tenant_id, EVERY_TENANT) if visit.person.is_chief else (tenant_id,)
    chosen = _chosen(visit)
    try:
        since, until = (moment_of(chosen[name], visit.zone) for name in ("since", "until"))
    except RepairError as error:
        raise PageProblem(422, error.args[0]) from None
    return AuditFilter(tenants, last, chosen["actor"], chosen["action"], since, until)


def _chosen(visit: Visit) -> dict[str, str]:
    """Returns the filters as they were typed; links to older entries and the export keep them."""
    query = visit.request.query_params
    bounds = {"actor": 200, "action": 100, "since": 40, "until": 40}
    return {name: query.get(name, "").strip()[:most] for name, most in bounds.items()}


def known_actions() -> set[str]:
    """Returns every action that has a text, also those of no entry so far."""
    return {key.removeprefix("action.") for key in catalogue("en") if key.startswith("action.")}


async def _entries(
    reading: PageReading, tenant_id: TenantId, audit_filter: AuditFilter, most: int
) -> list[Any]:
    return await reading.fetch(
        "audit_page",
        tenant_id,
        audit_filter.before,
        audit_filter.actor or None,
        audit_filter.action or None,
        most,
        list(audit_filter.tenants),
        audit_filter.since,
        audit_filter.until,
    )


def as_csv(rows: list[Any]) -> str:
    """Renders rows as CSV whose cells spreadsheets do not execute as formulas."""
    return "".join(
        _line((row["at"].isoformat(), row["actor"], row["action"], row["detail"], row["tenant_id"]))
        for row in rows
    )


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(
        f"'{one}" if one.startswith(_COMMAND_IN_A_SHEET) else one for one in cells
    )
    return text.getvalue()
