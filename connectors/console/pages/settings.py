"""Routes of a tenant's settings: its endpoints and API keys, and the cost of its models."""

from typing import Any, cast, get_args

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.changing import with_tenancy
from connectors.console.pages.once import show_once, shown_once
from connectors.console.pages.parts import PageParts
from connectors.console.pages.reading import PageReading
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId
from schemas.tenants import Scope
from storage.postgres.tenancy import Tenancy

DAYS = 14


def add_settings(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    reading = pages.reading
    _add_keys(router, pages)

    @router.get("/t/{tenant}/tenants", name="settings")
    async def settings(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        return await _page(pages, reading, visit, tenant_id)


async def _page(
    pages: PageParts, reading: PageReading, visit: Visit, tenant_id: TenantId
) -> Response:
    async def known(tenancy: Tenancy) -> tuple[Any, Any]:
        return await tenancy.keys(tenant_id), await tenancy.endpoints(tenant_id)

    keys, endpoints = await with_tenancy(pages, visit, known)
    return visit.page(
        "settings.html",
        tenant=tenant_id,
        section="tenants",
        keys=keys,
        endpoints=endpoints,
        providers=pages.other_roles.providers,
        usage=await reading.fetch("usage_by_day", tenant_id, DAYS),
        scopes=get_args(Scope),
        shown_once=shown_once(pages, visit),
    )


def _add_keys(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/keys")
    async def add(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        scope, name = visit.form.get("scope", ""), visit.form.get("name", "").strip()
        if scope not in get_args(Scope):
            raise PageProblem(422, "problem.422")

        async def work(tenancy: Tenancy) -> str:
            return await tenancy.add_key(tenant_id, cast(Scope, scope), name)

        key = await with_tenancy(pages, visit, work)
        return show_once(pages, visit, f"/t/{tenant_id}/tenants", "settings.new_key", key)

    @router.post("/t/{tenant}/keys/{key_id}/revoke")
    async def revoke(request: Request, tenant: str, key_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")

        async def work(tenancy: Tenancy) -> None:
            own = {key["key_id"] for key in await tenancy.keys(tenant_id)}
            if key_id not in own:
                raise PageProblem(404, "problem.404")
            await tenancy.revoke_key(key_id)

        await with_tenancy(pages, visit, work)
        return RedirectResponse(f"/t/{tenant_id}/tenants", 303)
