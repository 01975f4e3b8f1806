"""`sensorium resume STAGE`: lets a stage continue that stopped itself."""

from typing import Any

import click

from schemas.pipeline import STAGES
from storage.postgres.sql import queries
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit


@click.command()
@click.argument("stage", type=click.Choice((*STAGES, "sink")))
@click.option(
    "--quiet-minutes",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="For this long the stage does not stop itself again.",
)
@as_json_option
def resume(stage: str, quiet_minutes: float, as_json: bool) -> None:
    """Lets STAGE continue after it stopped itself.

    A stage stops if too many of its records would have been quarantined. The records
    that it holds are quarantined now. After a fix of the program, restart the stage
    instead: it then reads the same records again.
    """
    settings = command_settings()

    async def work() -> list[dict[str, Any]]:
        async with database(settings) as connection:
            return [
                dict(row)
                for row in await connection.fetch(
                    queries("stops")["resume_stage"], stage, quiet_minutes * 60
                )
            ]

    stops = run_command(work)
    document = {
        "stage": stage,
        "resumed": [
            {"stopped_at": stop["stopped_at"].isoformat(), "detail": stop["detail"]}
            for stop in stops
        ],
    }
    emit(
        document,
        as_json,
        [f"{stage} continues: {stop['detail']}" for stop in stops]
        or [f"{stage} did not stop itself"],
    )
