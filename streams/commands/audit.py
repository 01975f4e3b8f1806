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
from streams.audit.facts import RECORD_BYTES, Facts, Gathering, Wanted
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
@click.option(
    "--memory-mib",
    type=click.IntRange(64),
    default=1024,
    show_default=True,
    help="More is read in several parts, each of some tenants.",
)
@click.option(
    "--parts", type=click.IntRange(1), help="In how many parts; by default as --memory-mib asks."
)
@click.option(
    "--from-part",
    type=click.IntRange(1),
    default=1,
    help="Begin with this one: to go on with an audit that broke off.",
)
@as_json_option
@click.pass_context
def audit(
    context: click.Context,
    tenant: str | None,
    since: str | None,
    stuck_seconds: float,
    accepted: Path | None,
    memory_mib: int,
    parts: int | None,
    from_part: int,
    as_json: bool,
) -> None:
    """Holds receiver, raw topic, receipts, enriched topic, rows and objects against each other.
    Runs on a live system.

    Exit code 1 when something is lost, twice, stuck or unexplained.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    wanted = Wanted(moment(since) or datetime.now(UTC) - DAY, tenant)
    keys = _keys(accepted) if accepted is not None else []
    work = _Parts(settings, wanted, stuck_seconds, memory_mib, parts)
    try:
        report = run_command(lambda: work.all(keys, from_part))
    except (KafkaException, TimeoutError, Unavailable) as error:
        raise click.ClickException(
            f"{error}: the audit needs Kafka, Postgres and the object store; sensorium doctor says which does not answer"
            f"{work.how_to_go_on()}"
        ) from None
    document = {"since": wanted.since.isoformat(), "tenant": tenant, **report.document()}
    emit(document, as_json, _lines(document))
    context.exit(0 if report.balanced else 1)


def _keys(accepted: Path) -> list[str]:
    """A key may hold spaces, and what `splitlines` splits at; what is not text is replaced as in
    the keys of the log.
    """
    return [
        key for key in accepted.read_text(encoding="utf-8", errors="replace").split("\n") if key
    ]


class _Parts:
    """An audit of as many parts as its memory asks for; a part has all that there is of some
    tenants.
    """

    def __init__(
        self,
        settings: Settings,
        wanted: Wanted,
        stuck_seconds: float,
        memory_mib: int,
        parts: int | None,
    ) -> None:
        self._settings = settings
        self._wanted = wanted
        self._stuck_seconds = stuck_seconds
        self._memory_bytes = memory_mib * 2**20
        self._parts = parts
        self._part = 0
        self._report = Report()

    async def all(self, accepted: list[str], from_part: int) -> Report:
        """The parts one after the other, and what they find together."""
        async with database(self._settings) as connection:
            removed = await connection.fetch(queries("sink")["removed_tenants"])
        wanted = replace(self._wanted, removed=frozenset(row["tenant_id"] for row in removed))
        if self._parts is None:
            self._parts = await self._parts_for(wanted)
        report = self._report
        for part in range(from_part - 1, self._parts):
            self._part = part + 1
            if self._parts > 1:
                click.echo(f"part {self._part} of {self._parts}", err=True)
            # Of each part again: what came while the ones
            # before were read must not be taken for stuck.
            began_ms = int(time.time() * 1000)
            known = replace(wanted, part=part, parts=self._parts)
            facts = await _gather(self._settings, known)
            report.join(Audit(facts, known, began_ms, self._stuck_seconds).report(accepted))
        return report

    async def _parts_for(self, wanted: Wanted) -> int:
        """A single tenant cannot be divided: for one that is too large, look at less time."""
        if wanted.tenant is not None:
            return 1
        gathering = Gathering(self._settings, wanted)
        records = await asyncio.to_thread(gathering.source_records)
        return max(1, -(-records * RECORD_BYTES // self._memory_bytes))

    def how_to_go_on(self) -> str:
        """For an audit that broke off in a later part than its first."""
        if self._part <= 1:
            return ""
        since = self._wanted.since.strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f". The parts before had {len(self._report.findings)} findings; go on with: sensorium audit "
            f"--since {since} --parts {self._parts} --from-part {self._part}"
        )


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
