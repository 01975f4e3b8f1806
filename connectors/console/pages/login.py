"""Routes for logging in and out."""

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.background import BackgroundTask

from connectors.console.pages.parts import PageParts
from connectors.console.pages.passwords import LONGEST_PASSWORD
from connectors.console.pages.throttle import address_of, refuse_address, try_password
from connectors.console.pages.visits import PageProblem, Visit, local_path, set_cookie, visit_of
from schemas.outcomes import Unavailable
from storage.postgres.people import EVERY_TENANT, link_name

log = structlog.get_logger()


def add_login(router: APIRouter, parts: PageParts) -> None:
    """Adds the routes."""
    _add_password(router, parts)
    _add_links(router, parts)

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        visit = visit_of(request)
        await parts.people.end(visit.person.token)
        await parts.people.note(EVERY_TENANT, visit.person.name, "logout", "")
        return logged_out(visit)


def logged_out(visit: Visit) -> Response:
    """Redirects to the login, and makes the browser forget what it has seen."""
    response = RedirectResponse("/login", 303)
    response.delete_cookie(visit.session_cookie, path="/", secure=visit.is_secure)
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


def _add_password(router: APIRouter, parts: PageParts) -> None:
    @router.get("/login", name="login")
    async def login(request: Request) -> Response:
        visit = visit_of(request)
        path = local_path(request.query_params.get("next"))
        if visit.session is not None:
            return RedirectResponse(path, 303)
        return visit.page("login.html", next=path, wrong=False, name="")

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        visit = visit_of(request)
        name = visit.form.get("name", "").strip().lower()[:200]
        password = visit.form.get("password", "")[:LONGEST_PASSWORD]
        wanted = local_path(visit.form.get("next"))
        tried = await try_password(parts, request, name, password)
        if not tried.fits:
            log.warning("login_failed")
            answer = visit.page("login.html", 401, next=wanted, wrong=True, name=name)
            if tried.person is not None:
                answer.background = BackgroundTask(_note_failure, parts, name, address_of(request))
            return answer
        assert tried.person is not None  # a name without an account never gets here
        return await _enter(parts, visit, tried.person["person_id"], "login", wanted)


async def _note_failure(parts: PageParts, name: str, address: str) -> None:
    """Notes a failed login of an account.

    It runs after the answer, so that an answer for a known name takes no longer. Names
    without an account are not noted: they may be passwords in the wrong field.
    """
    try:
        await parts.people.note(EVERY_TENANT, name, "login_failed", address)
    except Unavailable:
        log.warning("login_failure_not_noted")


def _add_links(router: APIRouter, parts: PageParts) -> None:
    @router.get("/login/link")
    async def link(request: Request) -> Response:
        """Only shows a button, so that programs that prefetch links do not use the link up."""
        visit = visit_of(request)
        token = request.query_params.get("token", "")[:200]
        return visit.page("link.html", token=token)

    @router.post("/login/link")
    async def use_link(request: Request) -> Response:
        visit = visit_of(request)
        bucket = await refuse_address(parts, request)
        token = visit.form.get("token", "")[:200]
        person_id = await parts.people.use_link(token)
        if person_id is None:
            await parts.people.count_failure([bucket])
            raise PageProblem(403, "problem.link")
        return await _enter(parts, visit, person_id, "login_by_link", "/", link_name(token))


async def _enter(
    parts: PageParts, visit: Visit, person_id: str, how: str, wanted: str, link: str = ""
) -> Response:
    """Starts a session and redirects. `link` is the name of the login link, if one was used.

    The session always gets a new token, whatever cookie the browser sent, so that
    a token cannot be planted before the login.
    """
    if visit.session is not None:
        await parts.people.end(visit.session.token)
    token = await parts.people.begin(person_id, link)
    session = await parts.people.session(token, most=0)
    await parts.people.note(EVERY_TENANT, session.name if session else person_id, how, "")
    response = RedirectResponse(wanted, 303)
    set_cookie(response, visit.session_cookie, token, visit.is_secure)
    return response
