"""`sensorium trace`: shows a message and every step it went through."""

import re
from typing import Any

import asyncpg
import click

from connectors.console.queries import ConsoleQueries
from connectors.models.capabilities import OWN_MODELS
from schemas.keys import (
    LOG_DIGEST_CHARS,
    TENANT_PATTERN,
    MessageKey,
    TenantId,
    log_digest,
    split_message_key,
)
from schemas.topics import Names
from storage.postgres.pool import create_pool
from storage.postgres.sql import queries
from streams.commands.environment import command_settings, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit
from streams.commands.waiting import line_of, waits_of

_DIGEST = re.compile(rf"[0-9a-f]{{{LOG_DIGEST_CHARS}}}")
ROWS_AT_ONCE = 10_000


@click.command()
@click.argument("message_key", metavar="MESSAGE_KEY|DIGEST")
@click.option("--tenant", help="Whose message it is; needed for a digest.")
@as_json_option
def trace(message_key: str, tenant: str | None, as_json: bool) -> None:
    """Shows what became of a message, step by step.

    The message is given by its key (tenant:provider:id), or as logs name it: by the
    digest in the field `message`, together with --tenant. A digest is searched among
    all messages of the tenant.
    """
    digest = message_key if _DIGEST.fullmatch(message_key) else None
    if digest is not None and tenant is None:
        raise click.UsageError(
            f"{digest} is a digest from a log line: add --tenant with the line's tenant"
        )
    owner = TenantId(tenant or "") if digest is not None else _tenant_of(message_key)
    settings = command_settings()

    async def work() -> dict[str, Any]:
        pool = await create_pool(settings.postgres, Names(settings.namespace), "trace", size=1)
        try:
            key = await _named(pool, owner, digest) if digest else MessageKey(message_key)
            return {"message": None} if key is None else await _found(pool, owner, key)
        finally:
            await pool.close()

    traced = run_command(work)
    if traced["message"] is None:
        require_tenant(settings, owner)
        raise click.ClickException(
            "there is no row for this message: is the sink behind (sensorium status), "
            "or is it in quarantine (sensorium quarantine list)?"
        )
    emit(traced, as_json, _lines(traced))


async def _found(
    pool: "asyncpg.Pool[asyncpg.Record]", owner: TenantId, key: MessageKey
) -> dict[str, Any]:
    """Returns the message, its steps, what its jobs wait for, and the version of a
    repair in progress.
    """
    reading = ConsoleQueries(pool)
    message = await reading.message(owner, key)
    shown = [] if message is None else message["content_attributes"].get("attachments", [])
    return {
        "message": message,
        "steps": await reading.steps(owner, key),
        "jobs": await waits_of(pool, owner, key, shown),
        "redoing_version": await pool.fetchval(queries("overview")["redoing"], owner, key),
    }


def _lines(traced: dict[str, Any]) -> list[str]:
    message = traced["message"]
    lines = [
        f"{message['kind']} in {message['conversation_id']}: {message['status']}, "
        f"version {message['version']}",
        f"  {message['message_key']}, in logs {log_digest(message['message_key'])}",
    ]
    lines += [
        f"  {s['at'].isoformat()}  {s['stage']:12} {s['outcome']:28} "
        f"{s['topic']}[{s['partition']}]@{s['offset']}"
        for s in traced["steps"]
    ]
    lines += [
        f"  {_attachment_line(one)}" for one in message["content_attributes"].get("attachments", [])
    ]
    if traced["redoing_version"] is not None:
        generation = traced["redoing_version"] // 1000
        lines.append(
            f"  is being redone (generation {generation}); the row does not change "
            "until that is finished"
        )
    return lines + [f"  {line_of(wait)}" for wait in traced["jobs"]]


def _attachment_line(attachment: dict[str, Any]) -> str:
    """Formats the outcome of the attachment, and the model that answered.

    A model of this machine is marked, because its answers are less reliable.
    """
    reason = f": {attachment['reason']}" if attachment.get("reason") else ""
    model = attachment.get("model")
    of_this_machine = ", a model of this machine" if model in OWN_MODELS else ""
    by = f" by {model}{of_this_machine}" if model else ""
    return f"{attachment['type']} [{attachment['index']}] {attachment['status']}{by}{reason}"


def _tenant_of(message_key: str) -> TenantId:
    try:
        tenant = split_message_key(MessageKey(message_key))[0]
    except ValueError:
        tenant = TenantId("")
    if not TENANT_PATTERN.fullmatch(tenant):
        raise click.UsageError(
            f"{message_key!r} is not a message key: tenant:provider:provider_message_id"
        )
    return tenant


async def _named(
    pool: "asyncpg.Pool[asyncpg.Record]", tenant: TenantId, digest: str
) -> MessageKey | None:
    """Returns the key of the tenant's message with this digest.

    The database cannot compute digests, so all keys are read.
    """
    after = ""
    while rows := await pool.fetch(
        queries("tenancy")["keys_after"], tenant, after, ROWS_AT_ONCE, timeout=60
    ):
        for row in rows:
            if log_digest(row["message_key"]) == digest:
                return MessageKey(row["message_key"])
        after = rows[-1]["message_key"]
    return None
