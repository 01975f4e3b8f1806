"""Routes of repairs for people: plan, confirm, progress, report."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.conversations import Desk, stream
from connectors.console.pages.parts import PageParts
from connectors.console.pages.rendering import render
from connectors.console.pages.repairing import MESSAGES_PER_SECOND
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId
from storage.postgres.repairs import RepairError

LOOK_SECONDS = 1.0


def add_repairs(router: APIRouter, desk: Desk) -> None:
    """Adds the routes."""
    pages = desk.pages
    _add_actions(router, pages)

    @router.get("/t/{tenant}/repairs/{repair_id}", name="repair")
    async def repair(request: Request, tenant: str, repair_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "operator")
        values = await _values(pages, tenant_id, repair_id)
        return visit.page("repair.html", tenant=tenant_id, section="trouble", **values)

    @router.get("/t/{tenant}/repairs/{repair_id}/live")
    async def live(request: Request, tenant: str, repair_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "operator")
        await _values(pages, tenant_id, repair_id)

        async def fragment() -> str:
            visit.at(tenant, "operator")  # the role may have been taken away meanwhile
            values = await _values(pages, tenant_id, repair_id)
            return render("_repair.html", visit=visit, t=visit.words, tenant=tenant_id, **values)

        return stream(desk, visit, tenant_id, (), fragment, LOOK_SECONDS)


async def _values(pages: PageParts, tenant_id: TenantId, repair_id: str) -> dict[str, Any]:
    found = await pages.repairs.one(tenant_id, repair_id[:40])
    if found is None:
        raise PageProblem(404, "problem.404")
    return {"repair": found, "seconds": found["messages"] / MESSAGES_PER_SECOND}


def _add_actions(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/repairs")
    async def plan(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "operator")
        reason = visit.form.get("reason", "")[:60]
        try:
            repair_id = await pages.repairs.plan(tenant_id, reason, visit.person.name)
        except RepairError as error:
            raise PageProblem(409, str(error)) from None
        return _to(tenant_id, repair_id)

    @router.post("/t/{tenant}/repairs/{repair_id}/apply")
    async def apply(request: Request, tenant: str, repair_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "operator")
        try:
            await begin(pages, tenant_id, repair_id, visit.person.name)
        except PageProblem as problem:
            found = await pages.repairs.one(tenant_id, repair_id[:40])
            if problem.status != 409 or found is None or found["state"] != "running":
                raise  # else the button was clicked twice: it is begun, as was wished
        return _to(tenant_id, repair_id)

    @router.post("/t/{tenant}/repairs/{repair_id}/cancel")
    async def cancel(request: Request, tenant: str, repair_id: str) -> Response:
        visit: Visit = visit_of(request)
        tenant_id = visit.at(tenant, "operator")
        await end(pages, tenant_id, repair_id, visit.person.name)
        return _to(tenant_id, repair_id)


async def begin(pages: PageParts, tenant_id: TenantId, repair_id: str, who: str) -> None:
    """Applies a plan, on record. Raises PageProblem 404 and 409."""
    found = await pages.repairs.one(tenant_id, repair_id[:40])
    if found is None:
        raise PageProblem(404, "problem.404")
    if found["state"] != "planned" or found["is_over"]:
        raise PageProblem(409, "repair.cannot_begin")
    generation = await pages.redo.next_generation(f"{tenant_id} {found['reason']}")
    try:
        await pages.repairs.apply(tenant_id, found["repair_id"], generation)
    except RepairError as error:
        raise PageProblem(409, str(error)) from None
    detail = f"{found['repair_id']} {found['reason']}: {found['messages']} messages"
    await pages.people.note(tenant_id, who, "repair_applied", detail)
    pages.work.hurry()


async def end(pages: PageParts, tenant_id: TenantId, repair_id: str, who: str) -> None:
    """Cancels a plan or what is left of it, on record. Raises PageProblem 404 and 409."""
    found = await pages.repairs.one(tenant_id, repair_id[:40])
    if found is None:
        raise PageProblem(404, "problem.404")
    try:
        await pages.repairs.cancel(tenant_id, found["repair_id"])
    except RepairError as error:
        raise PageProblem(409, str(error)) from None
    await pages.people.note(tenant_id, who, "repair_cancelled", found["repair_id"])


def _to(tenant_id: TenantId, repair_id: str) -> Response:
    return RedirectResponse(f"/t/{tenant_id}/repairs/{repair_id}", 303)
