"""Routes of the people of a tenant, with their roles and sessions."""

from typing import Any, cast, get_args

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.changing import with_people
from connectors.console.pages.once import show_once, shown_once
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId
from storage.postgres.people import LINK_SECONDS, PORTAL, People, PersonRole


def add_team(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes.

    An admin of one tenant can give and revoke roles in that tenant only.
    """
    _add_invitation(router, pages)
    _add_changes(router, pages)
    _add_access(router, pages)

    @router.get("/t/{tenant}/people", name="people")
    async def people(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        return await _page(pages, visit, visit.at(tenant, "admin"))


def show_link(
    pages: PageParts, visit: Visit, tenant_id: TenantId, token: str, about: str = "people.link"
) -> Response:
    """Redirects to the page of the people, which shows the login link once."""
    base = pages.public_url.rstrip("/") or str(visit.request.base_url).rstrip("/")
    address = f"{base}/login/link?token={token}"
    return show_once(pages, visit, f"/t/{tenant_id}/people", about, address)


async def _page(pages: PageParts, visit: Visit, tenant_id: TenantId) -> Response:
    shown = shown_once(pages, visit)
    if shown is not None:
        shown = (visit.words(shown[0], minutes=round(LINK_SECONDS / 60)), shown[1])
    members = [
        dict(row)
        | {
            "may_end": _may_end(visit, row),
            "may_link": _may_link(visit, row),
            "may_change": visit.person.is_chief or row["person_id"] != visit.person.person_id,
        }
        for row in await pages.people.members(tenant_id)
    ]
    return visit.page(
        "people.html",
        tenant=tenant_id,
        section="tenants",
        members=members,
        roles=get_args(PersonRole),
        shown_once=shown,
        me=visit.person.name,
    )


def _may_end(visit: Visit, row: Any) -> bool:
    """Only an admin of every tenant may log out a person who also belongs to other tenants."""
    is_ours = not row["has_others"] and row["role_everywhere"] is None
    return visit.person.is_chief or bool(is_ours)


def _may_link(visit: Visit, row: Any) -> bool:
    return _may_end(visit, row) and not row["has_password"]


def _add_invitation(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/people")
    async def invite(request: Request, tenant: str) -> Response:
        """Creates a person with a login link.

        An account that already exists only gets the role.
        """
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        name, role = visit.form.get("name", "").strip().lower(), _role(visit)

        async def work(people: People) -> str | None:
            person = await people.named(name)
            ours = {one["person_id"] for one in await people.members(tenant_id)}
            if not visit.person.is_chief:
                _refuse_foreign(visit, ours, name, person)
            person_id = person["person_id"] if person is not None else await people.add(name, None)
            await people.admit(tenant_id, person_id, role)
            action = "role_given" if person is not None else "person_added"
            await people.note(tenant_id, visit.person.name, action, f"{name} {role}")
            return await people.add_link(person_id) if person is None else None

        token = await with_people(pages, visit, work)
        if token is None:
            return _to(tenant_id)
        return show_link(pages, visit, tenant_id, token)


def _refuse_foreign(visit: Visit, ours: set[str], name: str, person: Any | None) -> None:
    """Raises PageProblem 409 for accounts of other tenants and for the person's own.

    Names are global, so the tenant that created an account may still be logged in with
    it.
    """
    if name.startswith(PORTAL) or (person is not None and person["person_id"] not in ours):
        raise PageProblem(409, "people.taken")
    if person is not None:
        _refuse_oneself(visit, person["person_id"])


def _refuse_oneself(visit: Visit, person_id: str) -> None:
    """Keeps admins from giving up their own role, which they could not take back."""
    if person_id == visit.person.person_id and not visit.person.is_chief:
        raise PageProblem(409, "people.yourself")


def _add_changes(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/people/{person_id}/role")
    async def role(request: Request, tenant: str, person_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        member, new_role = await _member(pages, tenant_id, person_id), _role(visit)
        _refuse_oneself(visit, person_id)

        async def work(people: People) -> None:
            await people.set_role(tenant_id, person_id, new_role)
            await people.note(
                tenant_id, visit.person.name, "role_given", f"{member['name']} {new_role}"
            )

        await with_people(pages, visit, work)
        return _to(tenant_id)

    @router.post("/t/{tenant}/people/{person_id}/remove")
    async def remove(request: Request, tenant: str, person_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        member = await _member(pages, tenant_id, person_id)
        _refuse_oneself(visit, person_id)

        async def work(people: People) -> None:
            await people.end_role(tenant_id, person_id)
            await people.note(tenant_id, visit.person.name, "role_ended", member["name"])

        await with_people(pages, visit, work)
        return _to(tenant_id)


def _add_access(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/people/{person_id}/link")
    async def link(request: Request, tenant: str, person_id: str) -> Response:
        """Gives a person without a password a new login link, as is needed for each login."""
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        member = await _member(pages, tenant_id, person_id)
        if not _may_link(visit, member):
            raise PageProblem(403, "problem.403")

        async def work(people: People) -> str:
            await people.note(tenant_id, visit.person.name, "login_link_made", member["name"])
            return await people.add_link(person_id)

        return show_link(pages, visit, tenant_id, await with_people(pages, visit, work))

    @router.post("/t/{tenant}/people/{person_id}/log-out")
    async def log_out(request: Request, tenant: str, person_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        member = await _member(pages, tenant_id, person_id)
        if not _may_end(visit, member):
            raise PageProblem(403, "problem.403")

        async def work(people: People) -> None:
            await people.end_sessions(person_id)
            await people.note(tenant_id, visit.person.name, "sessions_ended", member["name"])

        await with_people(pages, visit, work)
        return _to(tenant_id)


async def _member(pages: PageParts, tenant_id: TenantId, person_id: str) -> Any:
    """Raises PageProblem 404 for a person who does not belong to the tenant."""
    for one in await pages.people.members(tenant_id):
        if one["person_id"] == person_id:
            return one
    raise PageProblem(404, "problem.404")


def _role(visit: Visit) -> PersonRole:
    role = visit.form.get("role", "")
    if role not in get_args(PersonRole):
        raise PageProblem(422, "problem.422")
    return cast(PersonRole, role)


def _to(tenant_id: TenantId) -> Response:
    return RedirectResponse(f"/t/{tenant_id}/people", 303)
