"""`sensorium migrate`: applies the migrations of the database."""

import click

from schemas.topics import Names
from storage.postgres.migrate import DatabaseAhead, pending
from storage.postgres.migrate import migrate as apply
from storage.postgres.pool import MAINTENANCE, connect_directly
from streams.commands.environment import command_settings, run_command
from streams.commands.output import as_json_option, emit


@click.command()
@click.option(
    "--finish",
    is_flag=True,
    help="After a roll-out, when no older program runs: also remove what only older programs used.",
)
@as_json_option
def migrate(finish: bool, as_json: bool) -> None:
    """Brings the database to this program's schema.

    Programs of the previous version keep working meanwhile.
    """
    settings = command_settings()
    names = Names(settings.namespace)

    async def work() -> tuple[list[str], list[str]]:
        connection = await connect_directly(settings.postgres, names, "migrate", MAINTENANCE)
        try:
            applied = await apply(
                connection, names, finish=finish, say=lambda text: click.echo(text, err=True)
            )
            return applied, [one.name for one in await pending(connection)]
        finally:
            await connection.close()

    try:
        applied, left = run_command(work)
    except DatabaseAhead as error:
        raise click.ClickException(str(error)) from None
    lines = [f"{name}: applied" for name in applied] or ["nothing to do"]
    if left:
        lines.append(f"after the roll-out: sensorium migrate --finish ({', '.join(left)})")
    document = {"applied": applied} | ({"after_the_roll_out": left} if left else {})
    emit(document, as_json, lines)
