"""`sensorium migrate`."""

import click

from schemas.topics import Names
from storage.postgres.migrate import DatabaseAhead
from storage.postgres.migrate import migrate as apply
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit


@click.command()
@as_json_option
def migrate(as_json: bool) -> None:
    """Brings the database to this program's schema."""
    settings = command_settings()

    async def work() -> list[str]:
        async with database(settings) as connection:
            return await apply(connection, Names(settings.namespace))

    try:
        applied = run_command(work)
    except DatabaseAhead as error:
        raise click.ClickException(str(error)) from None
    emit(
        {"applied": applied}, as_json, [f"{name}: applied" for name in applied] or ["nothing to do"]
    )
