"""`sensorium sweep`: deletes stored files that no row refers to."""

from datetime import timedelta

import click
from confluent_kafka import KafkaException

from schemas.outcomes import Unavailable
from storage.objects.store import ObjectStore
from streams.commands.environment import command_settings, counts_fit, database, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit
from streams.commands.waiting import counted
from streams.repair.orphans import Behind, Sweep, Swept


@click.command()
@click.option("--tenant", help="Only this tenant.")
@click.option(
    "--older-than-hours",
    type=click.FloatRange(1),
    default=24.0,
    show_default=True,
    help="Keep younger files, because their rows may not be written yet.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@as_json_option
def sweep(tenant: str | None, older_than_hours: float, dry_run: bool, as_json: bool) -> None:
    """Deletes files in the object store that no message has.

    Such files are left by a worker that died after it had stored one. Run it once a day.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    counts_fit(settings)

    async def work() -> Swept:
        store = ObjectStore(settings.objects, threads=1)
        try:
            async with database(settings) as connection:
                return await Sweep(settings, connection, store).run(
                    timedelta(hours=older_than_hours), tenant, dry=dry_run
                )
        finally:
            await store.close()

    try:
        swept = run_command(work)
    except Behind as error:
        raise click.ClickException(
            f"nothing was deleted: {error}. Rows that refer to a file may still come: "
            "start it, or wait, and try again"
        ) from None
    except (KafkaException, TimeoutError, Unavailable) as error:
        raise click.ClickException(
            f"{error}: sweep needs Kafka, Postgres and the object store; sensorium "
            "doctor says which does not answer"
        ) from None
    undecided = sorted(swept.undecided)
    document = {
        "objects": swept.objects,
        "bytes": swept.bytes,
        "dry_run": dry_run,
        "undecided_tenants": undecided,
    }
    deleted = "would be deleted" if dry_run else "deleted"
    lines = [f"{counted(swept.objects, 'file')}, {counted(swept.bytes, 'byte')} {deleted}"]
    lines += (
        [
            "kept, because a quarantined record or an unfinished job may refer to a "
            f"file: {', '.join(undecided)}"
        ]
        if undecided
        else []
    )
    emit(document, as_json, lines)
