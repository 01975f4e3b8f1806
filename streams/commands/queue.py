"""`sensorium queue`: shows what waits, by stage and tenant, since when, and why."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from confluent_kafka import KafkaException

from schemas.pipeline import SOURCE_OF
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.sql import queries
from streams.audit.backlog import Backlogs, StageBacklog
from streams.commands.environment import (
    command_settings,
    database,
    kafka_answers,
    kafka_trouble,
    run_command,
)
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit, note
from streams.commands.waiting import counted, why


@click.command()
@click.option("--tenant", help="Only this tenant's.")
@click.option("--stage", type=click.Choice([*SOURCE_OF, "sink"]), help="Only this stage's.")
@as_json_option
def queue(tenant: str | None, stage: str | None, as_json: bool) -> None:
    """Shows records that a stage has not read, and jobs that are not finished.

    By stage and tenant, oldest first, with the cause of the last failed try. The
    figures come from Kafka and Postgres, so they are right even if a stage is down.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    kafka_answers(settings)
    try:
        waiting = run_command(lambda: backlogs(settings, None if stage is None else [stage]))
    except (KafkaException, TimeoutError) as error:
        text = kafka_trouble(settings, error) if isinstance(error, KafkaException) else str(error)
        raise click.ClickException(text) from None
    causes = run_command(lambda: causes_of(settings, tenant))
    rows = sorted(
        (row for row in _rows(waiting, causes) if tenant in (None, row["tenant_id"])),
        key=lambda row: -(row["oldest_seconds"] or 0),
    )
    emit({"waiting": rows}, as_json, map(_line, rows))
    for backlog in waiting:
        for (topic, partition), parked in sorted((backlog.parked | backlog.suspect).items()):
            note(f"{backlog.stage} may not process {topic}[{partition}] ({parked})")
    if not rows:
        note("nothing waits")


async def backlogs(
    settings: Settings, stages: Sequence[str] | None = None, most_read: int = 100_000
) -> list[StageBacklog]:
    """Reads the backlogs of these stages, or of all stages and the sink.

    Raises KafkaException and TimeoutError.
    """
    reading = Backlogs(settings, most_read)
    waiting = [reading.of_stage(stage) for stage in SOURCE_OF if stages is None or stage in stages]
    if stages is None or "sink" in stages:
        waiting.append(reading.of_sink(await _positions(settings)))
    return waiting


async def _positions(settings: Settings) -> dict[tuple[str, int], int]:
    names = Names(settings.namespace)
    async with database(settings) as connection:
        rows = await connection.fetch(queries("audit")["positions"], names.topics)
    return {
        (names.logical(row["topic"]), row["partition"]): row["next_offset"]
        for row in rows
        if row["next_offset"] >= 0
    }


async def causes_of(settings: Settings, tenant: str | None) -> list[Any]:
    """The reasons why jobs wait, by tenant, stage and cause, most frequent first."""
    async with database(settings) as connection:
        return list(await connection.fetch(queries("job_attempts")["waiting"], tenant))


def _rows(waiting: Sequence[StageBacklog], causes: Sequence[Any]) -> Iterator[dict[str, Any]]:
    now = time.time()
    for backlog in waiting:
        for tenant, waits in backlog.tenants.items():
            cause = next(
                (
                    one
                    for one in causes
                    if (one["tenant_id"], one["stage"]) == (tenant, backlog.stage)
                ),
                None,
            )
            yield {
                "stage": backlog.stage,
                "tenant_id": tenant,
                "unread": waits.unread,
                "jobs": waits.jobs,
                "tried": waits.tried,
                "oldest_seconds": None
                if waits.oldest_at is None
                else round(max(0.0, now - waits.oldest_at), 1),
                "next_try_at": None
                if waits.next_at is None
                else datetime.fromtimestamp(waits.next_at, UTC),
                "cause": cause and cause["cause"],
                "detail": cause and cause["detail"],
            }


def _line(row: dict[str, Any]) -> str:
    unread = f"{row['unread']} unread" if row["unread"] else ""
    jobs = f"{counted(row['jobs'], 'job')}, {row['tried']} tried" if row["jobs"] else ""
    age = "" if row["oldest_seconds"] is None else f"oldest {row['oldest_seconds']:g} s"
    cause = "" if row["cause"] is None else why(row)
    parts = (f"{row['stage']:12} {row['tenant_id']:20} {age:18}", unread, jobs, cause)
    return "  ".join(filter(None, parts))
