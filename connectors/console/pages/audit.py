"""Routes of the audit log: who did what, filtered, and as a file."""

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from connectors.console.pages.parts import PageParts
from connectors.console.pages.reading import PageReading
from connectors.console.pages.refs import Refs
from connectors.console.pages.visits import Visit, visit_of
from connectors.console.tenant_queue import Busy
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from storage.postgres.people import EVERY_TENANT

PAGE = 100
PORTION = 1_000
"""So many rows of an export are in memory at a time."""
_LAST = 2**62
_COMMAND_IN_A_SHEET = ("=", "+", "-", "@", "\t", "\r")
_FILE = re.compile(r"(.+) file ([0-9]{1,6})")
_RECORD = re.compile(r"(.+) (versions|[a-z-]+\[[0-9]+\]@[0-9]+)")
_COLUMNS = ("at", "actor", "action", "detail", "tenant")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries: of these tenants, before an entry, by a person or of an action where named."""

    tenants: tuple[str, ...]
    before: int
    actor: str
    action: str


def add_audit(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    reading = pages.reading

    @router.get("/t/{tenant}/audit", name="audit")
    async def audit(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        wanted = _filter(visit, tenant_id)
        rows = await _entries(reading, tenant_id, wanted, PAGE + 1)
        choices = await reading.fetch("audit_choices", tenant_id, list(wanted.tenants))
        return visit.page(
            "audit.html",
            tenant=tenant_id,
            section="audit",
            rows=[shown_entry(row, pages.refs, tenant_id) for row in rows[:PAGE]],
            older=rows[PAGE - 1]["id"] if len(rows) > PAGE else None,
            actions=sorted({row["action"] for row in choices}),
            actors=sorted({row["actor"] for row in choices if row["actor"]}),
            action=wanted.action,
            actor=wanted.actor,
        )

    @router.get("/t/{tenant}/audit.csv", name="audit-file")
    async def audit_file(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        wanted = _filter(visit, tenant_id)
        first = await _entries(reading, tenant_id, wanted, PORTION)
        chosen = " ".join(filter(None, (wanted.actor, wanted.action))) or "everything"
        await pages.people.note(tenant_id, visit.person.name, "audit_exported", chosen)
        return StreamingResponse(
            whole_table(reading, tenant_id, wanted, first),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="audit-{tenant_id}.csv"'},
        )


@dataclass(frozen=True, slots=True)
class EntryShown:
    """An entry as a person reads it: `href` leads to what was looked at, where it is a page.

    `file`: the number of a file of the message, from 1; 0 for none.
    """

    at: Any
    actor: str
    action: str
    tenant_id: str
    detail: str
    href: str = ""
    file: int = 0


def shown_entry(row: Any, refs: Refs, tenant_id: TenantId) -> EntryShown:
    """The entry, with references in the place of keys where a page shows what it is about."""
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
    reading: PageReading, tenant_id: TenantId, wanted: AuditFilter, rows: list[Any]
) -> AsyncIterator[str]:
    """The table from these rows to the oldest entry.

    The answer is on its way when Postgres goes
    away: then the last line says where to continue.
    """
    yield _line(_COLUMNS)
    while rows:
        yield as_csv(rows)
        if len(rows) < PORTION:
            return
        wanted = replace(wanted, before=rows[-1]["id"])
        try:
            rows = await _entries(reading, tenant_id, wanted, PORTION)
        except (Unavailable, Busy):
            yield _line(("", "", "INCOMPLETE", f"continue with ?before={wanted.before}", ""))
            return


def _filter(visit: Visit, tenant_id: TenantId) -> AuditFilter:
    """An admin of every tenant also sees what was done to all of them at once."""
    query = visit.request.query_params
    before = query.get("before", "")
    last = int(before) if before.isascii() and before.isdigit() and len(before) < 18 else _LAST
    tenants = (tenant_id, EVERY_TENANT) if visit.person.is_chief else (tenant_id,)
    return AuditFilter(tenants, last, query.get("actor", "")[:200], query.get("action", "")[:100])


async def _entries(
    reading: PageReading, tenant_id: TenantId, wanted: AuditFilter, most: int
) -> list[Any]:
    return await reading.fetch(
        "audit_page",
        tenant_id,
        wanted.before,
        wanted.actor or None,
        wanted.action or None,
        most,
        list(wanted.tenants),
    )


def as_csv(rows: list[Any]) -> str:
    """Lines of a table that spreadsheets show and do not run."""
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
