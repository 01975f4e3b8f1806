"""`sensorium audit`: what went in against what came out, per tenant and hour."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from confluent_kafka import KafkaException

from schemas.outcomes import Unavailable
from schemas.settings import Settings
from storage.objects.store import ObjectStore
from storage.postgres.sql import queries
from streams.audit.balance import Audit
from streams.audit.facts import Facts, Gathering, Wanted
from streams.audit.findings import KINDS, Report
from streams.commands.environment import command_settings, database, moment, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit

DAY = timedelta(days=1)
SHOWN = 20


@click.command()
@click.option("--tenant", help="Only this tenant.")
@click.option(
    "--since", help="From this time on, as 2026-01-31T12:00:00Z; by default the last 24 hours."
)
@click.option(
    "--stuck-seconds",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="What waits longer is stuck.",
)
@click.option(
    "--accepted",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of message keys, a line each, that were answered 2xx.",
)
@as_json_option
@click.pass_context
def audit(
    context: click.Context,
    tenant: str | None,
    since: str | None,
    stuck_seconds: float,
    accepted: Path | None,
    as_json: bool,
) -> None:
    """Holds receiver, raw topic, receipts, enriched topic, rows and objects against each other. Runs on a live system.

    Exit code 1 when something is lost, twice, stuck or unexplained.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    wanted = Wanted(moment(since) or datetime.now(UTC) - DAY, tenant)
    keys = _keys(accepted) if accepted is not None else []
    began_ms = int(
        time.time() * 1000
    )  # a long audit must not take for stuck what came while it read

    async def work() -> Report:
        async with database(settings) as connection:
            removed = await connection.fetch(queries("sink")["removed_tenants"])
        known = replace(wanted, removed=frozenset(row["tenant_id"] for row in removed))
        return Audit(await _gather(settings, known), known, began_ms, stuck_seconds).report(keys)

    try:
        report = run_command(work)
    except (KafkaException, TimeoutError, Unavailable) as error:
        raise click.ClickException(
            f"{error}: the audit needs Kafka, Postgres and the object store; sensorium doctor says which is away"
        ) from None
    document = {"since": wanted.since.isoformat(), "tenant": tenant, **report.document()}
    emit(document, as_json, _lines(document))
    context.exit(0 if report.balanced else 1)


def _keys(accepted: Path) -> list[str]:
    """A key may hold spaces, and what `splitlines` splits at; what is not text is replaced as in the keys of the log."""
    return [
        key for key in accepted.read_text(encoding="utf-8", errors="replace").split("\n") if key
    ]


async def _gather(settings: Settings, wanted: Wanted) -> Facts:
    gathering = Gathering(settings, wanted)
    facts = await asyncio.to_thread(gathering.from_kafka)
    store = ObjectStore(settings.objects, threads=1)
    try:
        async with database(settings) as connection:
            await gathering.from_stores(facts, connection, store)
    finally:
        await store.close()
    return facts


def _lines(document: dict[str, Any]) -> list[str]:
    columns = list(document["totals"])
    widths = {name: max(len(name), 8) for name in columns}
    head = f"{'tenant':20} {'hour':17}" + "".join(f" {name:>{widths[name]}}" for name in columns)
    hours = [{**hour, "hour": hour["hour"][:16]} for hour in document["hours"]]
    total = {"tenant": "all", "hour": "", **document["totals"]}
    lines = [head]
    for hour in [*hours, total]:
        lines.append(
            f"{hour['tenant']:20} {hour['hour']:17}"
            + "".join(f" {hour[name]:>{widths[name]}}" for name in columns)
        )
    lines += [
        "",
        "looked at: " + ", ".join(f"{count} {name}" for name, count in document["checked"].items()),
    ]
    for finding in document["findings"][:SHOWN]:
        age = f", {finding['age_seconds']:g} s" if finding["age_seconds"] is not None else ""
        lines.append(
            f"{finding['kind'].upper():12} {finding['stage']:12} {finding['message_key'] or finding['tenant']}: {finding['what']}{age}"
        )
    more = sum(document["totals"][kind] for kind in KINDS) - SHOWN
    if more > 0:
        lines.append(f"… and {more} more: --json")
    lines.append(
        "it balances: nothing lost, nothing twice, nothing stuck, nothing unexplained"
        if document["balanced"]
        else "IT DOES NOT BALANCE"
    )
    return lines
