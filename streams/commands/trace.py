"""`sensorium trace`: a message and every step it went through."""

from typing import Any

import click

from connectors.console.reading import Reading
from schemas.keys import TENANT_PATTERN, TenantId, split_message_key
from schemas.topics import Names
from storage.postgres.pool import create_pool
from streams.commands.environment import command_settings, run_command
from streams.commands.output import as_json_option, emit


@click.command()
@click.argument("message_key")
@as_json_option
def trace(message_key: str, as_json: bool) -> None:
    """Shows what became of MESSAGE_KEY (tenant:provider:id), step by step."""
    try:
        tenant = split_message_key(message_key)[0]  # type: ignore[arg-type]
    except ValueError:
        tenant = TenantId("")
    if not TENANT_PATTERN.fullmatch(tenant):
        raise click.UsageError(
            f"{message_key!r} is no message key: tenant:provider:provider_message_id"
        )
    settings = command_settings()

    async def work() -> dict[str, Any]:
        pool = await create_pool(settings.postgres, Names(settings.namespace), "trace", size=1)
        try:
            reading = Reading(pool)
            return {
                "message": await reading.message(tenant, message_key),
                "steps": await reading.steps(tenant, message_key),
            }
        finally:
            await pool.close()

    found = run_command(work)
    if found["message"] is None:
        raise click.ClickException(
            "there is no row of this message: is the sink behind (sensorium status), or is it in quarantine (sensorium quarantine list)?"
        )
    message = found["message"]
    lines = [
        f"{message['kind']} in {message['conversation_id']}: {message['status']}, version {message['version']}"
    ]
    lines += [
        f"  {s['at'].isoformat()}  {s['stage']:12} {s['outcome']:28} {s['topic']}[{s['partition']}]@{s['offset']}"
        for s in found["steps"]
    ]
    emit(found, as_json, lines)
