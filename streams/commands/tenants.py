"""`sensorium tenants add|set|list`."""

from typing import Any

import click
import msgspec

from schemas.tenants import TenantSettings
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit


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


@tenants.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """All tenants."""
    settings = command_settings()

    async def work() -> list[str]:
        async with database(settings) as connection:
            return [
                row["tenant_id"]
                for row in await connection.fetch(queries("tenancy")["list_tenants"])
            ]

    names = run_command(work)
    emit({"tenants": names}, as_json, names)
