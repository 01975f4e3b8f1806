"""Routes of a tenant's settings: keys, endpoints, people, and what the models cost."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast, get_args

import asyncpg
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.parts import PageParts
from connectors.console.pages.reading import PageReading
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId
from schemas.tenants import Scope
from storage.postgres.pool import unavailable
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy, TenancyError

T = TypeVar("T")
DAYS = 14


def add_settings(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    reading = PageReading(pages.pool)
    _add_keys(router, pages, reading)
    _add_endpoints(router, pages, reading)

    @router.get("/t/{tenant}/tenants", name="settings")
    async def settings(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        return await _page(pages, reading, visit, tenant_id)


async def _page(
    pages: PageParts,
    reading: PageReading,
    visit: Visit,
    tenant_id: TenantId,
    shown_once: tuple[str, str] | None = None,
) -> Response:
    """`shown_once`: what a new secret is for, and the secret; it is stored nowhere."""

    async def known(tenancy: Tenancy) -> tuple[Any, Any]:
        return await tenancy.keys(tenant_id), await tenancy.endpoints(tenant_id)

    keys, endpoints = await _with_tenancy(pages, visit, known)
    return visit.page(
        "settings.html",
        tenant=tenant_id,
        section="tenants",
        keys=keys,
        endpoints=endpoints,
        people=await pages.people.list(tenant_id),
        usage=await reading.fetch("usage_by_day", tenant_id, DAYS),
        scopes=get_args(Scope),
        shown_once=shown_once,
    )


def _add_keys(router: APIRouter, pages: PageParts, reading: PageReading) -> None:
    @router.post("/t/{tenant}/keys")
    async def add(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        scope, name = visit.form.get("scope", ""), visit.form.get("name", "").strip()
        if scope not in get_args(Scope):
            raise PageProblem(422, "problem.422")

        async def work(tenancy: Tenancy) -> str:
            return await tenancy.add_key(tenant_id, cast(Scope, scope), name)

        key = await _with_tenancy(pages, visit, work)
        return await _page(pages, reading, visit, tenant_id, ("settings.new_key", key))

    @router.post("/t/{tenant}/keys/{key_id}/revoke")
    async def revoke(request: Request, tenant: str, key_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")

        async def work(tenancy: Tenancy) -> None:
            own = {key["key_id"] for key in await tenancy.keys(tenant_id)}
            if key_id not in own:
                raise PageProblem(404, "problem.404")
            await tenancy.revoke_key(key_id)

        await _with_tenancy(pages, visit, work)
        return RedirectResponse(f"/t/{tenant_id}/tenants", 303)


def _add_endpoints(router: APIRouter, pages: PageParts, reading: PageReading) -> None:
    @router.post("/t/{tenant}/endpoints/{endpoint_id}/rotate")
    async def rotate(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")

        async def work(tenancy: Tenancy) -> str | None:
            await _own(tenancy, tenant_id, endpoint_id)
            _, secret = await tenancy.rotate(endpoint_id, drop=None)
            return secret

        secret = await _with_tenancy(pages, visit, work)
        shown = ("settings.new_secret", secret) if secret else None
        return await _page(pages, reading, visit, tenant_id, shown)

    @router.post("/t/{tenant}/endpoints/{endpoint_id}/drop")
    async def drop(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        secret = visit.form.get("secret", "")

        async def work(tenancy: Tenancy) -> None:
            await _own(tenancy, tenant_id, endpoint_id)
            await tenancy.rotate(endpoint_id, drop=secret)

        await _with_tenancy(pages, visit, work)
        return RedirectResponse(f"/t/{tenant_id}/tenants", 303)


async def _own(tenancy: Tenancy, tenant_id: TenantId, endpoint_id: str) -> None:
    """Raises PageProblem 404 for an endpoint of another tenant."""
    if endpoint_id not in {one["endpoint_id"] for one in await tenancy.endpoints(tenant_id)}:
        raise PageProblem(404, "problem.404")


async def _with_tenancy(
    pages: PageParts, visit: Visit, work: Callable[[Tenancy], Awaitable[T]]
) -> T:
    """In one transaction, with the person's name in the audit log. What cannot be is a 422."""
    try:
        async with pages.pool.acquire() as proxy, proxy.transaction():
            connection = cast("asyncpg.Connection[asyncpg.Record]", proxy)
            await connection.execute(queries("pages")["set_actor"], "-", visit.person.name)
            return await work(Tenancy(connection, pages.vault))
    except TenancyError:
        raise PageProblem(422, "problem.422") from None
    except PageProblem:
        raise
    except Exception as error:
        raise unavailable(error) or error from error
