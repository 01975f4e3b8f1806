"""The pages of repairs: plan, confirmation, progress and report."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.conversations import Desk, stream
from connectors.console.pages.parts import PageParts
from connectors.console.pages.rendering import render
from connectors.console.pages.repairing import (
    HIGHEST_RATE,
    begin,
    end,
    moment_of,
    rate_of,
    repair_request_of,
    spans_of,
)
from connectors.console.pages.repairs_api import seconds_of
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId
from storage.postgres.repair_plans import LOWEST_RATE, RepairError

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
            visit.at(tenant, "operator")  # the role may have been revoked meanwhile
            values = await _values(pages, tenant_id, repair_id)
            return render("_repair.html", visit=visit, t=visit.words, tenant=tenant_id, **values)

        return stream(desk, visit, tenant_id, (), fragment, LOOK_SECONDS)


async def _values(pages: PageParts, tenant_id: TenantId, repair_id: str) -> dict[str, Any]:
    found = await pages.repairs.one(tenant_id, repair_id[:40])
    if found is None:
        raise PageProblem(404, "problem.404")
    return {
        "repair": found,
        "choice": found["choice"],
        "counted": found["files"],
        "seconds": seconds_of(found["messages"], found["rate"]),
        "left_seconds": seconds_of(max(0, found["messages"] - found["looked"]), found["rate"]),
        "rates": (LOWEST_RATE, HIGHEST_RATE),
    }


def _form_values(visit: Visit) -> dict[str, Any]:
    form = visit.form
    return {
        "reason": form.get("reason"),
        "with_gone": form.get("with_gone"),
        "stage": form.get("stage"),
        "place": form.get("place"),
        "offsets": spans_of(form.get("offsets", "")),
        "since": moment_of(form.get("since", ""), visit.zone),
        "until": moment_of(form.get("until", ""), visit.zone),
    }


def _add_actions(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/repairs")
    async def plan(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "operator")
        kind = visit.form.get("kind", "attachments")
        try:
            form = _form_values(visit)
            repair_request = repair_request_of(tenant_id, visit.person.name, kind, form)
            async with pages.kafka.turn(tenant_id):
                repair_id = await pages.work.plan(repair_request)
        except RepairError as error:
            raise PageProblem(409, error.args[0]) from None
        return _to(tenant_id, repair_id)

    @router.post("/t/{tenant}/repairs/{repair_id}/apply")
    async def apply(request: Request, tenant: str, repair_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "operator")
        try:
            rate = rate_of(visit.form.get("rate", ""))
            asked_by = (tenant_id, visit.person.name)
            await begin(pages.repairs, pages.work, asked_by, repair_id, rate)
        except RepairError as error:
            raise PageProblem(422, error.args[0]) from None
        except PageProblem as problem:
            found = await pages.repairs.one(tenant_id, repair_id[:40])
            if problem.status != 409 or found is None or found["state"] != "running":
                raise  # otherwise the button was clicked twice, and the repair has begun
        return _to(tenant_id, repair_id)

    @router.post("/t/{tenant}/repairs/{repair_id}/cancel")
    async def cancel(request: Request, tenant: str, repair_id: str) -> Response:
        visit: Visit = visit_of(request)
        tenant_id = visit.at(tenant, "operator")
        await end(pages.repairs, (tenant_id, visit.person.name), repair_id)
        return _to(tenant_id, repair_id)


def _to(tenant_id: TenantId, repair_id: str) -> Response:
    return RedirectResponse(f"/t/{tenant_id}/repairs/{repair_id}", 303)
