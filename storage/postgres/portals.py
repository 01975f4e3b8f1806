"""Login links for a tenant's own people, for the command and for the page."""

from storage.postgres.people import PORTAL, People, PeopleError, link_name

PORTAL_SECONDS = 24 * 3600.0


async def portal_token(people: People, tenant: str) -> str:
    """Creates the token of a login link for the tenant's portal user, who has no password.

    If the name was in use for another purpose, its sessions end. The audit log calls
    whoever uses the link by the name that it has in the entry written here.
    """
    name = f"{PORTAL}{tenant}"
    person = await people.named(name)
    person_id = person["person_id"] if person is not None else await people.add(name, None)
    if await people.roles(person_id) != {tenant: "reader"}:
        await people.end_sessions(person_id)
    await people.set_role(tenant, person_id, "reader")
    if await people.roles(person_id) != {tenant: "reader"}:
        raise PeopleError(
            f"{name} has roles beyond this tenant, and a portal is for it only: "
            f"sensorium users remove {name}"
        )
    token = await people.add_link(person_id, PORTAL_SECONDS)
    await people.note(tenant, "", "portal_link_made", f"{name}#{link_name(token)}")
    return token
