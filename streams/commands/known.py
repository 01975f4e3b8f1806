"""Refuses names that nothing has, before a command looks for them and finds nothing."""

import click

from schemas.settings import Settings
from storage.postgres.sql import queries
from streams.commands.environment import database, run_command


def require_tenant(settings: Settings, tenant: str | None) -> None:
    """Ends the command if a tenant is named that does not exist."""
    if tenant is None:
        return

    async def exists() -> bool:
        async with database(settings) as connection:
            return bool(await connection.fetchval(queries("repair")["tenant_exists"], tenant))

    if not run_command(exists):
        raise click.ClickException(f"there is no tenant {tenant!r}: see `sensorium tenants list`")
