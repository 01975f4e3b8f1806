"""`sensorium resume STAGE`: lets a stage go on that stopped itself."""

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
    help="For so long the stage does not stop itself again.",
)
@as_json_option
def resume(stage: str, quiet_minutes: float, as_json: bool) -> None:
    """Lets STAGE go on, which stopped because too much of what it read would have gone to
    quarantine. What it holds goes there now.

    After a fixed program the stage is restarted instead: it reads the same records again.
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
        [f"{stage} goes on: {stop['detail']}" for stop in stops]
        or [f"{stage} did not stop itself"],
    )
