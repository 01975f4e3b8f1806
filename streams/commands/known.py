"""Refuses the name of an unknown tenant, instead of finding nothing for it."""

import click

from schemas.settings import Settings
from storage.postgres.sql import queries
from streams.commands.environment import database, run_command


def require_tenant(settings: Settings, tenant: str | None) -> None:
    """Ends the command if the tenant does not exist.

    None means that no tenant was named.
    """
    if tenant is None:
        return

    async def exists() -> bool:
        async with database(settings) as connection:
            return bool(await connection.fetchval(queries("repair")["tenant_exists"], tenant))

    if not run_command(exists):
        raise click.ClickException(f"there is no tenant {tenant!r}: see `sensorium tenants list`")
