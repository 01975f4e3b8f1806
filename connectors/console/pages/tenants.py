"""The page of all tenants of a person, and the form with which admins of every tenant add one."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.changing import with_tenancy
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import PageProblem, visit_of
from schemas.keys import TENANT_PATTERN, TenantId
from storage.postgres.tenancy import Tenancy, TenancyError

PAGE = 200
LONGEST_NAME = 63


def add_tenants(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    _add_list(router, pages)

    @router.post("/tenants")
    async def add(request: Request) -> Response:
        """Adds the tenant, unless it exists, and leads to its settings."""
        visit = visit_of(request)
        if not visit.person.is_chief:
            raise PageProblem(403, "problem.403")
        name = visit.form.get("name", "").strip()
        if not TENANT_PATTERN.fullmatch(name):
            raise PageProblem(422, "tenants.wrong_name")

        async def work(tenancy: Tenancy) -> TenantId:
            try:
                return await tenancy.add_tenant(name)
            except TenancyError:  # it was removed, and records of it may be on their way
                raise PageProblem(409, "tenants.removed") from None

        tenant_id = await with_tenancy(pages, visit, work)
        return RedirectResponse(f"/t/{tenant_id}/tenants", 303)


def _add_list(router: APIRouter, pages: PageParts) -> None:
    @router.get("/tenants", name="all-tenants")
    async def all_tenants(request: Request) -> Response:
        visit = visit_of(request)
        wanted = request.query_params.get("q", "").strip().lower()[:LONGEST_NAME]
        after = request.query_params.get("after", "")[:LONGEST_NAME]
        found = await pages.people.tenants(visit.person.person_id, wanted, after, PAGE + 1)
        shown = dict(list(found.items())[:PAGE])
        return visit.page(
            "all_tenants.html",
            found=shown,
            wanted=wanted,
            after=next(reversed(shown)) if len(found) > PAGE else "",
        )
