"""`sensorium usage | log | attachments list`: shows what the tables contain."""

from collections.abc import Sequence
from typing import Any, get_args

import click
import msgspec

from schemas.reasons import AttachmentReason
from schemas.settings import Settings
from storage.postgres.sql import queries
from streams.commands.environment import command_settings, database, moment, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit, note
from streams.commands.waiting import clock, counted, why

_limit = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="The most rows to show.",
)
_tenant = click.option("--tenant", help="Only this tenant's.")
_since = click.option("--since", help="Since this time, as 2026-01-31T12:00:00Z.")


def _rows(settings: Settings, name: str, *arguments: Any) -> Sequence[Any]:
    async def work() -> Sequence[Any]:
        async with database(settings) as connection:
            rows: Sequence[Any] = await connection.fetch(queries("overview")[name], *arguments)
            return rows

    return run_command(work)


@click.command()
@_tenant
@click.option("--by", type=click.Choice(["day", "model"]), default="day", show_default=True)
@_since
@as_json_option
def usage(tenant: str | None, by: str, since: str | None, as_json: bool) -> None:
    """Shows calls, tokens and cost of models, by tenant and day or model."""
    settings, begin = command_settings(), moment(since)
    require_tenant(settings, tenant)
    rows = _rows(settings, "usage", tenant, by, begin.date() if begin else None)
    shown = [
        {
            "tenant_id": row["tenant_id"],
            by: row["by"],
            "kind": row["kind"],
            "calls": row["calls"],
            "input_tokens": row["input_tokens"],
            "output_tokens": row["output_tokens"],
            "cost_microusd": row["cost_microusd"],
        }
        for row in rows
    ]
    emit({"usage": shown}, as_json, [_usage_line(one, by) for one in shown])
    if not shown:
        note("no model was asked")


def _usage_line(row: dict[str, Any], by: str) -> str:
    cost = row["cost_microusd"]
    dollars = "price unknown" if cost is None else f"{cost / 1_000_000:.6f} USD"
    tokens = f"{row['input_tokens']} + {row['output_tokens']} tokens"
    return (
        f"{row['tenant_id']:20} {row[by]:24} {row['kind']:10} {row['calls']:7} calls"
        f"  {tokens:28} {dollars}"
    )


@click.command()
@_tenant
@_since
@_limit
@as_json_option
def log(tenant: str | None, since: str | None, limit: int, as_json: bool) -> None:
    """Shows what commands changed, and who ran them, newest first.

    Covers tenants, endpoints, keys and the quarantine.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    rows = _rows(settings, "audit_log", tenant, moment(since), limit)
    shown = [dict(row) for row in rows]
    emit(
        {"log": shown},
        as_json,
        [
            f"{row['at'].isoformat()[:19]}  {row['actor'] or '-':20} "
            f"{row['tenant_id']:20} {row['action']:20} {row['detail']}"
            for row in shown
        ],
    )
    if not shown:
        note("nothing was changed")


@click.group()
def attachments() -> None:
    """Lists files of messages by their status."""


@attachments.command("list")
@click.option(
    "--status",
    type=click.Choice(["pending", "failed", "skipped"]),
    default="failed",
    show_default=True,
)
@click.option(
    "--reason",
    type=click.Choice(get_args(AttachmentReason)),
    metavar="REASON",
    help="Only with this reason.",
)
@_tenant
@_since
@_limit
@as_json_option
def list_(
    status: str,
    reason: str | None,
    tenant: str | None,
    since: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Lists attachments that failed, wait, or were skipped, newest first."""
    settings = command_settings()
    require_tenant(settings, tenant)
    rows = _rows(settings, "attachments", status, reason, tenant, moment(since), limit)
    shown = [_attachment(row) for row in rows]
    emit({"attachments": shown}, as_json, [_attachment_line(one) for one in shown])
    if not shown:
        note(f"no attachment is {status}")
    elif status == "failed":
        note("after the cause is fixed: sensorium replay attachments --reason REASON")


def _attachment_line(one: dict[str, Any]) -> str:
    line = (
        f"{one['received_at']:%Y-%m-%d %H:%M:%S}  {one['type']:9} "
        f"{one['reason'] or '-':22} {one['message_key']} [{one['index']}]"
    )
    if one["cause"] is None:
        return line
    until = "" if one["next_at"] is None else f"; next try {clock(one['next_at'])}"
    attempts = f"tried {counted(one['attempts'], 'time')}"
    return f"{line}  {one['stage']}, {attempts}: {why(one)}{until}"


def _attachment(row: Any) -> dict[str, Any]:
    document = msgspec.json.decode(row["attachment"])
    names = ("index", "type", "status", "reason", "mime_type", "bytes", "filename", "model")
    return {
        "tenant_id": row["tenant_id"],
        "message_key": row["message_key"],
        "received_at": row["received_at"],
        "version": row["version"],
        **{name: document.get(name) for name in names},
        **{
            name: row[name]
            for name in ("stage", "attempts", "cause", "detail", "last_at", "next_at")
        },
    }
