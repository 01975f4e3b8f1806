"""Routes of the audit log: who did what, filtered, and as a file."""

import csv
import io
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.parts import PageParts
from connectors.console.pages.reading import PageReading
from connectors.console.pages.visits import visit_of
from schemas.keys import TenantId

PAGE = 100
MOST_EXPORTED = 10_000
_LAST = 2**62
_COMMAND_IN_A_SHEET = ("=", "+", "-", "@", "\t", "\r")


def add_audit(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    reading = PageReading(pages.pool)

    @router.get("/t/{tenant}/audit", name="audit")
    async def audit(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        rows = await _entries(reading, request, tenant_id, PAGE + 1)
        choices = await reading.fetch("audit_choices", tenant_id)
        return visit.page(
            "audit.html",
            tenant=tenant_id,
            section="audit",
            rows=rows[:PAGE],
            older=rows[PAGE - 1]["id"] if len(rows) > PAGE else None,
            actions=sorted({row["action"] for row in choices}),
            actors=sorted({row["actor"] for row in choices if row["actor"]}),
            action=request.query_params.get("action", ""),
            actor=request.query_params.get("actor", ""),
        )

    @router.get("/t/{tenant}/audit.csv", name="audit-file")
    async def audit_file(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        rows = await _entries(reading, request, tenant_id, MOST_EXPORTED)
        await pages.people.note(tenant_id, visit.person.name, "audit_exported", f"{len(rows)} rows")
        name = f'attachment; filename="audit-{tenant_id}.csv"'
        return Response(
            as_csv(rows),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": name},
        )


async def _entries(
    reading: PageReading, request: Request, tenant_id: TenantId, most: int
) -> list[Any]:
    query = request.query_params
    before = query.get("before", "")
    last = int(before) if before.isascii() and before.isdigit() and len(before) < 18 else _LAST
    actor, action = query.get("actor", "")[:200], query.get("action", "")[:100]
    return await reading.fetch("audit_page", tenant_id, last, actor or None, action or None, most)


def as_csv(rows: list[Any]) -> str:
    """A table that spreadsheets show and do not run."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("at", "actor", "action", "detail"))
    for row in rows:
        cells = (row["at"].isoformat(), row["actor"], row["action"], row["detail"])
        writer.writerow(f"'{one}" if one.startswith(_COMMAND_IN_A_SHEET) else one for one in cells)
    return text.getvalue()
