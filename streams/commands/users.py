"""The commands about the console's users.

They are `sensorium users add|list|role|password|link|remove` and `sensorium portal`.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, get_args

import click

from connectors.console.pages.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD, hashed
from schemas.settings import Settings
from storage.postgres.people import (
    EVERY_TENANT,
    LINK_SECONDS,
    People,
    PeopleError,
    PersonRole,
)
from storage.postgres.portals import portal_token
from streams.commands.environment import command_settings, database, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit

T = TypeVar("T")
DEMO_ADMIN = "admin"
DEMO_SECONDS = 24 * 3600.0
_role = click.argument("role", type=click.Choice(get_args(PersonRole)))
_tenant = click.option("--tenant", default=EVERY_TENANT, help="One tenant.  [default: all]")


@click.group()
def users() -> None:
    """Manages the people who use the console, and their roles."""


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(get_args(PersonRole)), default="admin", show_default=True)
@_tenant
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@as_json_option
def add(name: str, role: PersonRole, tenant: str, password_stdin: bool, as_json: bool) -> None:
    """Adds a person.

    The password is generated and shown once, unless you give one.
    """
    settings = command_settings()
    require_tenant(settings, None if tenant == EVERY_TENANT else tenant)
    password = _read_password() if password_stdin else secrets.token_urlsafe(18)

    async def work(people: People) -> None:
        person_id = await people.add(name, hashed(password))
        await people.set_role(tenant, person_id, role)
        await people.note(tenant, "", "person_added", f"{name} {role}")

    _run(settings, work)
    shown = {} if password_stdin else {"password": password}
    emit(
        {"name": name, "role": role, "tenant": tenant, **shown},
        as_json,
        [f"{name} may log in as {role} of {_of(tenant)}", *shown.values()],
    )


@users.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """Lists all people with their roles."""
    found = _run(command_settings(), lambda people: people.list())
    lines = [
        f"{one['name']:24} {', '.join(f'{role} of {_of(at)}' for at, role in one['roles'].items())}"
        for one in found
    ]
    emit({"people": found}, as_json, lines or ["there are no users yet: sensorium users add NAME"])


@users.command()
@click.argument("name")
@_role
@_tenant
@as_json_option
def role(name: str, role: PersonRole, tenant: str, as_json: bool) -> None:
    """Gives NAME a ROLE. It replaces NAME's previous role at the same tenant.

    At a tenant that is new to NAME, what others may hold ends: sessions, login links and
    a password that was set in the console.
    """
    settings = command_settings()
    require_tenant(settings, None if tenant == EVERY_TENANT else tenant)

    async def work(people: People) -> None:
        await people.admit(tenant, await _id_of(people, name), role)
        await people.note(tenant, "", "role_given", f"{name} {role}")

    _run(settings, work)
    emit(
        {"name": name, "role": role, "tenant": tenant},
        as_json,
        [f"{name} is {role} of {_of(tenant)}"],
    )


@users.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@as_json_option
def password(name: str, password_stdin: bool, as_json: bool) -> None:
    """Gives NAME a new password and shows it once.

    All of NAME's sessions and login links end.
    """
    chosen = _read_password() if password_stdin else secrets.token_urlsafe(18)

    async def work(people: People) -> None:
        await people.set_password(await _id_of(people, name), hashed(chosen))
        await people.note(EVERY_TENANT, "", "password_set", name)

    _run(command_settings(), work)
    shown = {} if password_stdin else {"password": chosen}
    emit({"name": name, **shown}, as_json, [f"{name} has a new password", *shown.values()])


@users.command()
@click.argument("name")
@as_json_option
def link(name: str, as_json: bool) -> None:
    """Prints a link that logs NAME in once, within a quarter of an hour."""
    settings = command_settings()

    async def work(people: People) -> str:
        token = await people.add_link(await _id_of(people, name), LINK_SECONDS)
        await people.note(EVERY_TENANT, "", "login_link_made", name)
        return token

    address = _address(settings, _run(settings, work))
    emit({"name": name, "link": address}, as_json, [address])


@users.command()
@click.argument("name")
@as_json_option
def remove(name: str, as_json: bool) -> None:
    """Removes NAME with all sessions, links and roles."""

    async def work(people: People) -> None:
        await people.remove(name)
        await people.note(EVERY_TENANT, "", "person_removed", name)

    _run(command_settings(), work)
    emit({"name": name, "removed": True}, as_json, [f"{name} is removed"])


@click.command()
@click.argument("tenant")
@as_json_option
def portal(tenant: str, as_json: bool) -> None:
    """Prints a login link for the people of TENANT.

    It works once, within a day, and gives the reader role for this tenant only.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    address = _address(settings, _run(settings, lambda people: portal_token(people, tenant)))
    emit({"tenant_id": tenant, "link": address}, as_json, [address])


def demo_link(settings: Settings) -> str:
    """Creates a link that logs the demo admin in once.

    Adds the admin if there is none.
    """

    async def work(people: People) -> str:
        person = await people.named(DEMO_ADMIN)
        if person is None:
            person_id = await people.add(DEMO_ADMIN, None)
            await people.set_role(EVERY_TENANT, person_id, "admin")
        else:
            person_id = person["person_id"]
        await people.note(EVERY_TENANT, "", "login_link_made", DEMO_ADMIN)
        return await people.add_link(person_id, DEMO_SECONDS)

    return _address(settings, _run(settings, work))


def _run(settings: Settings, work: Callable[[People], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with database(settings) as connection, connection.transaction():
            return await work(People(connection))

    try:
        return run_command(connected)
    except PeopleError as error:
        raise click.ClickException(str(error)) from None


async def _id_of(people: People, name: str) -> str:
    person: Any = await people.named(name)
    if person is None:
        raise PeopleError(f"there is no person {name!r}: sensorium users list")
    return str(person["person_id"])


def _read_password() -> str:
    chosen = click.get_text_stream("stdin").readline().rstrip("\r\n")
    if not SHORTEST_PASSWORD <= len(chosen) <= LONGEST_PASSWORD:
        raise click.UsageError(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
        )
    return chosen


def _of(tenant: str) -> str:
    return "every tenant" if tenant == EVERY_TENANT else tenant


def _address(settings: Settings, token: str) -> str:
    console = settings.console
    host = "127.0.0.1" if console.host in ("0.0.0.0", "::") else console.host
    url = console.public_url.rstrip("/") or f"http://{host}:{console.port}"
    return f"{url}/login/link?token={token}"
