"""The form that makes a login link for a tenant's own people."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.changing import with_people
from connectors.console.pages.parts import PageParts
from connectors.console.pages.team import show_link
from connectors.console.pages.visits import PageProblem, visit_of
from storage.postgres.people import People, PeopleError
from storage.postgres.portals import portal_token


def add_portals(router: APIRouter, pages: PageParts) -> None:
    """Adds the route."""

    @router.post("/t/{tenant}/portal")
    async def portal(request: Request, tenant: str) -> Response:
        """Leads to a page that shows the link once. It gives the role reader at this tenant."""
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")

        async def work(people: People) -> str:
            try:
                return await portal_token(people, tenant_id)
            except PeopleError:  # the account got roles elsewhere
                raise PageProblem(409, "people.portal_taken") from None

        token = await with_people(pages, visit, work)
        return show_link(pages, visit, tenant_id, token, "people.portal_link")
