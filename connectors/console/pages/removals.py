"""The pages on which an admin of every tenant removes one and sees what becomes of it.

The console's role deletes the data in the background, because that may take hours.
"""

from typing import Any

import asyncpg
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.changing import in_transaction
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TENANT_PATTERN, TenantId
from schemas.topics import DAY_MS, HORIZON_MS
from storage.postgres.people import EVERY_TENANT
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy
from storage.postgres.tenant_removals import TenantRemovals, begin_removal

MOST_COUNTED = 100_000
"""Of each kind at most this many are counted."""
MOST_REMOVED = 100
"""How many removed tenants are listed, the newest first."""
SHOWN = ("messages", "files", "model_answers", "quarantined", "endpoints", "keys", "people")
UNDER_WAY = ("works", "waits")
DELETABLE = ("kept", "left")


def add_removals(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    _add_removal(router, pages)
    _add_removed(router, pages)


def _add_removal(router: APIRouter, pages: PageParts) -> None:
    @router.get("/t/{tenant}/removal", name="removal")
    async def look(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = _chiefs(visit, visit.at(tenant, "admin"))
        (row,) = await pages.reading.fetch("holdings_at_most", tenant_id, MOST_COUNTED + 1)
        return visit.page(
            "removal.html",
            tenant=tenant_id,
            section="tenants",
            counts=[(name, row[name]) for name in SHOWN],
            unfinished=row["pending"],
            most=MOST_COUNTED,
            free_days=HORIZON_MS // DAY_MS,
        )

    @router.post("/t/{tenant}/removal")
    async def remove(request: Request, tenant: str) -> Response:
        """Removes it if the form has its name."""
        visit = visit_of(request)
        tenant_id = _chiefs(visit, visit.at(tenant, "admin"))
        _require_typed(visit, tenant_id)
        await _remove(pages, visit, tenant_id, keeps_data="keep_data" in visit.form)
        return RedirectResponse("/tenants/removed", 303)


def _add_removed(router: APIRouter, pages: PageParts) -> None:
    removals = TenantRemovals(pages.pool)

    @router.get("/tenants/removed", name="removed")
    async def removed(request: Request) -> Response:
        visit = visit_of(request)
        _chiefs(visit, TenantId(EVERY_TENANT))
        found = await removals.removed(MOST_REMOVED)
        rows = [row | {"state": state_of(row)} for row in found]
        states = {row["state"] for row in rows}
        return visit.page(
            "removed.html",
            rows=rows,
            most=MOST_REMOVED,
            free_days=HORIZON_MS // DAY_MS,
            # a reload would empty the field of a form
            reloads=not states.isdisjoint(UNDER_WAY) and states.isdisjoint(DELETABLE),
        )

    @router.post("/tenants/removed")
    async def delete(request: Request) -> Response:
        """Deletes data that was kept, or that a removal by command has left."""
        visit = visit_of(request)
        tenant_id = _chiefs(visit, TenantId(visit.form.get("name", "")))
        if not TENANT_PATTERN.fullmatch(tenant_id):
            raise PageProblem(422, "problem.422")
        _require_typed(visit, tenant_id)
        await _remove(pages, visit, tenant_id, keeps_data=False, again=True)
        return RedirectResponse("/tenants/removed", 303)


def _chiefs(visit: Visit, tenant_id: TenantId) -> TenantId:
    """Returns the tenant. Raises PageProblem 403 unless the person is admin of all."""
    if not visit.person.is_chief:
        raise PageProblem(403, "problem.403")
    return tenant_id


def _require_typed(visit: Visit, tenant_id: TenantId) -> None:
    if visit.form.get("typed", "").strip() != tenant_id:
        raise PageProblem(422, "removal.not_typed")


async def _remove(
    pages: PageParts, visit: Visit, tenant_id: TenantId, *, keeps_data: bool, again: bool = False
) -> None:
    """Ends the tenant's credentials and roles, and begins to delete its data.

    `keeps_data`: nothing is deleted. `again`: the tenant must be removed already, else it
    must not be, and PageProblem 404 is raised otherwise. The log of every tenant gets an
    entry too, because pages no longer show that of the tenant.
    """

    async def work(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        tenancy = Tenancy(connection, pages.vault)
        there = await connection.fetchrow(queries("tenancy")["tenant"], tenant_id)
        if there is None or (there["removed_at"] is not None) != again:
            raise PageProblem(404, "problem.404")
        await tenancy.remove_tenant(tenant_id, keep_data=keeps_data)
        what = f"{tenant_id}, data {'kept' if keeps_data else 'to be deleted'}"
        await tenancy.note(EVERY_TENANT, "tenant_removed", what)
        if not keeps_data:
            await begin_removal(connection, tenant_id, visit.person.name)

    await in_transaction(pages, visit, work)


def state_of(row: dict[str, Any]) -> str:
    """Returns what became of its data: a key of the catalogue after `removed.state_`.

    - `kept`: nothing was deleted.
    - `works`, `waits`: it is being deleted, or waits because something is unavailable.
    - `left`: messages are still stored, and no process deletes them.
    - `done`: it was deleted.
    """
    if row["data_kept"]:
        return "kept"
    if row["began_at"] is not None and row["ended_at"] is None:
        return "waits" if row["trouble"] else "works"
    return "left" if row["has_messages"] else "done"
