"""`sensorium keys add`."""

from typing import get_args

import click

from schemas.tenants import Scope
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit


@click.group()
def keys() -> None:
    """Keys of bots, people and operators."""


@keys.command()
@click.argument("tenant")
@click.option("--scope", type=click.Choice(get_args(Scope)), required=True)
@as_json_option
def add(tenant: str, scope: Scope, as_json: bool) -> None:
    """Adds a key. It is shown this once."""
    settings = command_settings()

    async def work() -> str:
        async with database(settings) as connection:
            return await Tenancy(connection, Vault(settings.secrets.key)).add_key(tenant, scope)

    key = run_command(work)
    emit({"key": key, "scope": scope}, as_json, [key])
