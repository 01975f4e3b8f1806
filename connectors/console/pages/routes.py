"""The router of the console's pages, which is added to the API."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from connectors.console.pages.account import add_account
from connectors.console.pages.audit import add_audit
from connectors.console.pages.conversations import add_conversations, desk_of
from connectors.console.pages.deliveries import add_deliveries
from connectors.console.pages.endpoints import add_endpoints
from connectors.console.pages.erasures import add_erasures
from connectors.console.pages.login import add_login
from connectors.console.pages.message_files import add_message_files
from connectors.console.pages.messages import add_messages
from connectors.console.pages.parts import PageParts
from connectors.console.pages.pipeline import add_pipeline
from connectors.console.pages.portals import add_portals
from connectors.console.pages.preferences import add_preferences
from connectors.console.pages.quarantined import add_quarantined
from connectors.console.pages.raw_records import add_raw_records
from connectors.console.pages.records import add_records
from connectors.console.pages.removals import add_removals
from connectors.console.pages.rendering import STATIC_FOLDER, static_version
from connectors.console.pages.repairs import add_repairs
from connectors.console.pages.settings import add_settings
from connectors.console.pages.team import add_team
from connectors.console.pages.tenants import add_tenants
from connectors.console.pages.trouble import add_trouble
from connectors.console.pages.trouble_everywhere import add_trouble_everywhere
from connectors.console.pages.versions import add_versions
from connectors.console.pages.visits import PageProblem, page_route, visit_of
from connectors.console.parts import Parts
from connectors.console.problems import ConsoleProblem

_YEAR = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def pages_router(parts: Parts, pages: PageParts) -> APIRouter:
    """Returns the router with every page, form and event stream."""
    router = APIRouter(route_class=page_route(pages), include_in_schema=False)
    _add_entrance(router)
    router.include_router(_static_files())
    add_login(router, pages)
    add_account(router, pages)
    desk = desk_of(parts, pages)
    add_conversations(router, desk)
    add_messages(router, desk)
    add_message_files(router, parts, pages)
    add_raw_records(router, pages)
    add_versions(router, pages)
    add_trouble(router, pages)
    add_trouble_everywhere(router, pages)
    add_records(router, pages)
    add_quarantined(router, pages)
    add_repairs(router, desk)
    add_pipeline(router, desk)
    add_settings(router, pages)
    add_endpoints(router, pages)
    add_deliveries(router, pages)
    add_preferences(router, pages)
    add_team(router, pages)
    add_portals(router, pages)
    add_tenants(router, pages)
    add_removals(router, pages)
    add_erasures(router, pages)
    add_audit(router, pages)
    _add_nowhere(router)
    return router


def _add_entrance(router: APIRouter) -> None:
    @router.get("/")
    async def entrance(request: Request) -> Response:
        person = visit_of(request).person
        if not person.roles:
            return visit_of(request).page("empty.html")
        return RedirectResponse(f"/t/{next(iter(person.roles))}/conversations", 303)


def _add_nowhere(router: APIRouter) -> None:
    """Comes last, so that a wrong address, or the address of a form, also shows a page."""

    @router.get("/t/{rest:path}")
    async def nowhere(request: Request, rest: str) -> Response:
        person = visit_of(request).person
        if rest in person.roles:
            return RedirectResponse(f"/t/{rest}/conversations", 303)
        raise PageProblem(404, "problem.404")


def _static_files() -> APIRouter:
    """Returns the route of static files, which need no session."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{version}/{name}")
    async def static(version: str, name: str) -> Response:
        path = STATIC_FOLDER / Path(name).name
        if path.suffix not in _TYPES or not path.is_file():
            raise ConsoleProblem(404, "there is no such file")
        # while a release is rolled out, a page of the new one may ask a console of the old one
        cache_control = _YEAR if version == static_version() else "no-store"
        headers = {"cache-control": cache_control, "x-content-type-options": "nosniff"}
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=headers)

    return router
