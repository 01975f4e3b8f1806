"""`sensorium keys add|list|revoke`: API keys."""

from typing import Any, get_args

import click

from schemas.tenants import Scope
from storage.postgres.directory import key_id as id_of
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit


@click.group()
def keys() -> None:
    """Manages the API keys of tenants."""


@keys.command()
@click.argument("tenant")
@click.option("--scope", type=click.Choice(get_args(Scope)), required=True)
@click.option("--name", default="", help="What the key is for, as `keys list` shows it.")
@as_json_option
def add(tenant: str, scope: Scope, name: str, as_json: bool) -> None:
    """Adds a key and shows it. It cannot be shown again."""
    settings = command_settings()

    async def work() -> str:
        async with database(settings) as connection:
            tenancy = Tenancy(connection, Vault(settings.secrets.key))
            return await tenancy.add_key(tenant, scope, name)

    key = run_command(work)
    named = {"key_id": id_of(key), "name": name} if name else {}
    document = {"key": key, "scope": scope, **named}
    emit(document, as_json, [key])


@keys.command("list")
@click.argument("tenant")
@as_json_option
def list_(tenant: str, as_json: bool) -> None:
    """Lists the keys of TENANT: id, name, scope and date.

    The keys themselves are not stored.
    """
    settings = command_settings()

    async def work() -> list[dict[str, Any]]:
        async with database(settings) as connection:
            return await Tenancy(connection, Vault(settings.secrets.key)).keys(tenant)

    keys_ = run_command(work)
    lines = [
        f"{key['key_id']}  {key['scope']:5}  {key['created_at']:%Y-%m-%d %H:%M}  {key['name']}"
        for key in keys_
    ]
    emit({"tenant_id": tenant, "keys": keys_}, as_json, lines or [f"{tenant} has no keys"])


@keys.command()
@click.argument("key_id", metavar="ID")
@as_json_option
def revoke(key_id: str, as_json: bool) -> None:
    """Revokes the key with this ID of `keys list`.

    Every role refuses it within two seconds.
    """
    settings = command_settings()

    async def work() -> dict[str, str]:
        async with database(settings) as connection:
            return await Tenancy(connection, Vault(settings.secrets.key)).revoke_key(key_id)

    revoked = run_command(work)
    emit(
        {**revoked, "revoked": True},
        as_json,
        [
            f"{revoked['key_id']} ({revoked['scope']}) of {revoked['tenant_id']} is revoked",
            "requests with it are answered 401; signed media links expire within minutes",
        ],
    )
