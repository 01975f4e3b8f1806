"""`sensorium tenants add|set|show|list|remove`."""

from typing import Any

import click
import msgspec

from schemas.tenants import TenantSettings
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit
from streams.commands.tenants_remove import holdings_text, remove


@click.group()
def tenants() -> None:
    """Tenants and their settings."""


@tenants.command()
@click.argument("name")
@as_json_option
def add(name: str, as_json: bool) -> None:
    """Adds a tenant; adding it again changes nothing."""
    settings = command_settings()

    async def work() -> str:
        async with database(settings) as connection:
            return await Tenancy(connection, Vault(settings.secrets.key)).add_tenant(name)

    tenant_id = run_command(work)
    emit({"tenant_id": tenant_id}, as_json, [tenant_id])


@tenants.command("set")
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="NAME=VALUE…")
@as_json_option
def set_(name: str, changes: tuple[str, ...], as_json: bool) -> None:
    """Sets openai-key, rate, language, trade, vision-prompt, context-text and more; NAME= takes one back to the default."""
    settings = command_settings()
    wanted = dict(_change(change) for change in changes)

    async def work() -> TenantSettings:
        async with database(settings) as connection:
            return await Tenancy(connection, Vault(settings.secrets.key)).set_tenant(name, wanted)

    run_command(work)
    emit(
        {"tenant_id": name, "set": sorted(wanted)},
        as_json,
        [f"{name}: {', '.join(sorted(wanted))}"],
    )


def _change(text: str) -> tuple[str, Any]:
    key, found, value = text.partition("=")
    field = key.replace("-", "_")
    fields = TenantSettings.__struct_fields__
    if not found or field not in fields:
        raise click.UsageError(
            f"{text!r}: say NAME=VALUE with one of {', '.join(f.replace('_', '-') for f in fields)}"
        )
    default = getattr(TenantSettings(), field)
    if value.strip() == "":
        return field, default
    try:
        msgspec.convert({field: value}, TenantSettings, strict=False)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"{key}={value}: {str(error).partition(' - at')[0]}") from None
    if field == "context_text" and "{description}" not in value:
        raise click.UsageError("context-text must hold {description}, where the description goes")
    return field, value


@tenants.command()
@click.argument("name")
@as_json_option
def show(name: str, as_json: bool) -> None:
    """A tenant: its settings, keys and endpoints, and how much is kept for it."""
    settings = command_settings()

    async def work() -> dict[str, Any]:
        async with database(settings) as connection:
            tenancy = Tenancy(connection, Vault(settings.secrets.key))
            found = await tenancy.tenant(name)
            return found | {
                "keys": await tenancy.keys(name),
                "endpoints": await tenancy.endpoints(name),
            }

    found = run_command(work)
    state = "" if found["removed_at"] is None else f", removed {found['removed_at']:%Y-%m-%d %H:%M}"
    lines = [f"{name}, added {found['created_at']:%Y-%m-%d %H:%M}{state}"]
    lines += (
        ["  its settings cannot be opened: sensorium doctor"]
        if found["settings"] is None
        else [
            f"  {key.replace('_', '-')}={value}"
            for key, value in found["settings"].items()
            if value
        ]
    )
    lines += [
        f"  key       {key['key_id']}  {key['scope']}  {key['name']}" for key in found["keys"]
    ]
    lines += [f"  endpoint  {one['endpoint_id']}  {one['provider']}" for one in found["endpoints"]]
    lines.append(f"  {holdings_text(found['holds'])}")
    emit(found, as_json, lines)


@tenants.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """All tenants but removed ones."""
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
