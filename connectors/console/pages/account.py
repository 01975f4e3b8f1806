"""Routes of a person's own account: its password, and logging out everywhere."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.changing import with_people
from connectors.console.pages.login import logged_out
from connectors.console.pages.parts import PageParts
from connectors.console.pages.passwords import (
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    hashed_in_turn,
)
from connectors.console.pages.throttle import address_of, try_password
from connectors.console.pages.visits import (
    LoginNeeded,
    PageProblem,
    Visit,
    set_cookie,
    visit_of,
)
from storage.postgres.people import EVERY_TENANT, People, PeopleError


def add_account(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    _add_password(router, pages)

    @router.get("/account", name="account")
    async def account(request: Request) -> Response:
        visit = visit_of(request)
        return await _page(pages, visit, is_saved="saved" in request.query_params)

    @router.post("/account/log-out")
    async def log_out(request: Request) -> Response:
        """Ends every session and login link of the person, also the session of this request."""
        visit = visit_of(request)
        person = visit.person
        _refuse_portal(visit)

        async def work(people: People) -> None:
            await people.end_sessions(person.person_id)
            await people.note(EVERY_TENANT, person.name, "sessions_ended", person.name)

        await with_people(pages, visit, work)
        return logged_out(visit)


def _add_password(router: APIRouter, pages: PageParts) -> None:
    @router.post("/account/password")
    async def password(request: Request) -> Response:
        """Sets the password and ends the other sessions; this one gets a new token."""
        visit = visit_of(request)
        person, form = visit.person, visit.form
        _refuse_portal(visit)
        if wrong := _wrong(form.get("new", ""), form.get("again", "")):
            return await _page(pages, visit, wrong=wrong)
        known = await pages.people.named(person.name)
        former = known["password"] if known is not None else None
        if former is not None:
            tried = await try_password(pages, request, person.name, form.get("old", ""))
            if not tried.fits:
                await pages.people.note(
                    EVERY_TENANT, person.name, "password_change_failed", address_of(request)
                )
                return await _page(pages, visit, wrong="account.wrong_old")
        chosen = await hashed_in_turn(form["new"])

        async def work(people: People) -> None:
            try:
                await people.set_own_password(person, former, chosen)
            except PeopleError:
                raise PageProblem(409, "account.changed") from None
            await people.note(EVERY_TENANT, person.name, "password_set", person.name)

        await with_people(pages, visit, work)
        response = RedirectResponse("/account?saved", 303)
        token = await pages.people.begin(person.person_id)
        set_cookie(response, visit.session_cookie, token, visit.is_secure)
        return response


def _wrong(new: str, again: str) -> str:
    """Returns the catalogue key of what is wrong with a new password, or an empty string."""
    if not SHORTEST_PASSWORD <= len(new) <= LONGEST_PASSWORD:
        return "account.wrong_length"
    return "" if new == again else "account.wrong_again"


def _refuse_portal(visit: Visit) -> None:
    """Raises PageProblem 403 for the account that the people of a tenant share."""
    if visit.person.is_portal:
        raise PageProblem(403, "account.portal")


async def _page(
    pages: PageParts, visit: Visit, *, wrong: str = "", is_saved: bool = False
) -> Response:
    found = await pages.people.account(visit.person.person_id)
    if found is None:
        raise LoginNeeded
    return visit.page(
        "account.html",
        422 if wrong else 200,
        is_portal=visit.person.is_portal,
        has_password=found["has_password"],
        sessions=found["sessions"],
        shortest=SHORTEST_PASSWORD,
        longest=LONGEST_PASSWORD,
        wrong=wrong,
        is_saved=is_saved,
    )
