"""`sensorium tenants add|set|show|list|remove`: tenants and their settings."""

from typing import Any

import click

from connectors.models.unknown import unknown_models
from schemas.tenant_changes import SETTING_NAMES, WrongChange, read_change
from schemas.tenants import TenantSettings
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit, note
from streams.commands.tenants_remove import holdings_text, remove


@click.group()
def tenants() -> None:
    """Manages tenants and their settings."""


@tenants.command()
@click.argument("name")
@as_json_option
def add(name: str, as_json: bool) -> None:
    """Adds a tenant; adding it again changes nothing."""
    settings = command_settings()

    async def work() -> tuple[str, bool]:
        async with database(settings) as connection:
            before = await connection.fetchrow(queries("tenancy")["tenant"], name)
            is_there = before is not None and before["removed_at"] is None
            tenancy = Tenancy(connection, Vault(settings.secrets.key))
            return await tenancy.add_tenant(name), is_there

    tenant_id, is_there = run_command(work)
    emit({"tenant_id": tenant_id, "added": not is_there}, as_json, [tenant_id])
    if is_there:
        note(f"{tenant_id} was there already; nothing was changed")


@tenants.command(
    "set",
    epilog=f"Names: {', '.join(SETTING_NAMES)}. What each does: docs/reference/settings.md, "
    "schemas/tenants.py.",
)
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="NAME=VALUE…")
@as_json_option
def set_(name: str, changes: tuple[str, ...], as_json: bool) -> None:
    """Changes settings of a tenant.

    NAME= resets a setting to its default. Switches take yes, no, true, false, on or off.
    """
    settings = command_settings()
    updates = dict(_change(change) for change in changes)

    async def work() -> TenantSettings:
        async with database(settings) as connection:
            return await Tenancy(connection, Vault(settings.secrets.key)).set_tenant(name, updates)

    run_command(work)
    names = sorted(field.replace("_", "-") for field in updates)
    emit({"tenant_id": name, "set": names}, as_json, [f"{name}: {', '.join(names)}"])
    for unknown in unknown_models(settings.openai, updates):
        note(
            f"{unknown} is neither known to this version nor named in the settings: "
            f"sensorium doctor --tenant {name} tries it"
        )


def _change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name.strip().replace("_", "-") not in SETTING_NAMES:
        raise click.UsageError(f"{text!r}: give NAME=VALUE with one of {', '.join(SETTING_NAMES)}")
    try:
        return read_change(name, value)
    except WrongChange as wrong:
        raise click.UsageError(str(wrong)) from None


@tenants.command()
@click.argument("name")
@as_json_option
def show(name: str, as_json: bool) -> None:
    """Shows a tenant: its settings, keys and endpoints, and how much is stored for it."""
    settings = command_settings()

    async def work() -> dict[str, Any]:
        async with database(settings) as connection:
            tenancy = Tenancy(connection, Vault(settings.secrets.key))
            tenant = await tenancy.tenant(name)
            shown = tenant["settings"]
            hyphens = shown and {key.replace("_", "-"): value for key, value in shown.items()}
            return tenant | {
                "settings": hyphens,
                "keys": await tenancy.keys(name),
                "endpoints": await tenancy.endpoints(name),
            }

    tenant = run_command(work)
    state = (
        "" if tenant["removed_at"] is None else f", removed {tenant['removed_at']:%Y-%m-%d %H:%M}"
    )
    lines = [f"{name}, added {tenant['created_at']:%Y-%m-%d %H:%M}{state}"]
    lines += (
        ["  its settings cannot be opened: sensorium doctor"]
        if tenant["settings"] is None
        else [f"  {key}={value}" for key, value in tenant["settings"].items() if value]
    )
    lines += [
        f"  key       {key['key_id']}  {key['scope']}  {key['name']}" for key in tenant["keys"]
    ]
    lines += [f"  endpoint  {one['endpoint_id']}  {one['provider']}" for one in tenant["endpoints"]]
    lines.append(f"  {holdings_text(tenant['holds'])}")
    emit(tenant, as_json, lines)


@tenants.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """Lists all tenants that were not removed."""
    settings = command_settings()

    async def work() -> list[str]:
        async with database(settings) as connection:
            return [
                row["tenant_id"]
                for row in await connection.fetch(queries("tenancy")["list_tenants"])
            ]

    names = run_command(work)
    emit({"tenants": names}, as_json, names)


tenants.add_command(remove)
