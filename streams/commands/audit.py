"""`sensorium audit`: compares what went in with what came out, per tenant and hour."""

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
from schemas.topics import UNNAMED
from storage.objects.store import ObjectStore
from storage.postgres.erased import ERASED_BYTES, about_erased
from storage.postgres.sql import queries
from streams.audit.balance import Audit
from streams.audit.facts import RECORD_BYTES, AuditScope, Facts, Gathering
from streams.audit.findings import KINDS, Report
from streams.commands.environment import command_settings, database, moment, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit, note
from streams.commands.waiting import counted
from streams.repair.topic_sets import sets_of_topics

DAY = timedelta(days=1)
SHOWN = 20


@click.command()
@click.option("--tenant", help="Only this tenant.")
@click.option(
    "--since",
    help="Messages since this time, as 2026-01-31T12:00:00Z; by default the last 24 hours.",
)
@click.option(
    "--stuck-seconds",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="A message that waits longer counts as stuck.",
)
@click.option(
    "--accepted",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the keys of messages that were answered 2xx, one per line.",
)
@click.option(
    "--memory-mib",
    type=click.IntRange(64),
    default=1024,
    show_default=True,
    help="Memory to use. If it is not enough, the tenants are read in several parts.",
)
@click.option(
    "--parts", type=click.IntRange(1), help="Number of parts; by default as --memory-mib requires."
)
@click.option(
    "--from-part",
    type=click.IntRange(1),
    default=1,
    help="Begin with this part, to continue an audit that was interrupted.",
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
    """Compares receiver, raw topic, receipts, enriched topic, rows and objects.

    Works on a live system. Exit code 1 if a message is lost, duplicated, stuck or unexplained.
    Of several sets of topics it looks at the one that SENSORIUM_NAMESPACE names, and
    names the others.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    scope = AuditScope(moment(since) or datetime.now(UTC) - DAY, tenant)
    keys = _keys(accepted) if accepted is not None else []
    work = _Parts(settings, scope, stuck_seconds, memory_mib, parts)
    try:
        report = run_command(lambda: work.all(keys, from_part))
        others = sets_of_topics(settings)[1:]
    except (KafkaException, TimeoutError, Unavailable) as error:
        raise click.ClickException(
            f"{error}: the audit needs Kafka, Postgres and the object store; sensorium "
            f"doctor says which does not answer{work.how_to_continue()}"
        ) from None
    document = {"since": scope.since.isoformat(), "tenant": tenant, **report.document()}
    document["other_sets"] = [one.title for one in others]
    emit(document, as_json, _lines(document))
    for one in others:
        note(
            f"this was the set of topics {settings.namespace or UNNAMED} only: rows of messages"
            f" that came in by {one.title} may be findings here, and are compared with their topics"
            f" by {one.environment} sensorium audit"
        )
    context.exit(0 if report.balanced else 1)


def _keys(accepted: Path) -> list[str]:
    """Returns the message keys in the file.

    A key may contain spaces and characters at which `splitlines` splits. Invalid UTF-8
    is replaced, as in the keys of the log.
    """
    return [
        key for key in accepted.read_text(encoding="utf-8", errors="replace").split("\n") if key
    ]


class _Parts:
    """An audit in as many parts as its memory requires.

    A part covers some of the tenants completely.
    """

    def __init__(
        self,
        settings: Settings,
        scope: AuditScope,
        stuck_seconds: float,
        memory_mib: int,
        parts: int | None,
    ) -> None:
        self._settings = settings
        self._scope = scope
        self._stuck_seconds = stuck_seconds
        self._memory_bytes = memory_mib * 2**20
        self._parts = parts
        self._part = 0
        self._report = Report()

    async def all(self, accepted: list[str], from_part: int) -> Report:
        """Audits one part after the other and returns their joint report."""
        async with database(self._settings) as connection:
            removed = await connection.fetch(queries("sink")["removed_tenants"])
            erased = await about_erased(connection)
        scope = replace(self._scope, removed=frozenset(row["tenant_id"] for row in removed))
        if self._parts is None:
            self._parts = await self._parts_for(scope, erased)
        report = self._report
        for part in range(from_part - 1, self._parts):
            self._part = part + 1
            if self._parts > 1:
                click.echo(f"part {self._part} of {self._parts}", err=True)
            # Set for each part, so that what arrived while earlier parts were read is not stuck.
            began_ms = int(time.time() * 1000)
            of_part = replace(scope, part=part, parts=self._parts)
            facts = await _gather(self._settings, of_part)
            report.join(Audit(facts, of_part, began_ms, self._stuck_seconds).report(accepted))
        return report

    async def _parts_for(self, scope: AuditScope, erased: int) -> int:
        """Returns the number of parts.

        A single tenant cannot be divided. If it is too large, choose a later --since.
        """
        if scope.tenant is not None:
            return 1
        gathering = Gathering(self._settings, scope)
        records = await asyncio.to_thread(gathering.source_records)
        needed = records * RECORD_BYTES + erased * ERASED_BYTES
        return max(1, -(-needed // self._memory_bytes))

    def how_to_continue(self) -> str:
        """Returns a hint if the audit was interrupted after its first part, else ""."""
        if self._part <= 1:
            return ""
        since = self._scope.since.strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f". The parts before had {len(self._report.findings)} findings; continue "
            f"with: sensorium audit --since {since} --parts {self._parts} "
            f"--from-part {self._part}"
        )


async def _gather(settings: Settings, scope: AuditScope) -> Facts:
    gathering = Gathering(settings, scope)
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
    if document["reopened"]:
        lines.append(
            f"reopened: {counted(document['reopened'], 'message')} came in again when dedupe no"
            " longer knew the first delivery: rows keep that one, the topic ends with the later one"
        )
    for finding in document["findings"][:SHOWN]:
        age = f", {finding['age_seconds']:g} s" if finding["age_seconds"] is not None else ""
        lines.append(
            f"{finding['kind'].upper():12} {finding['stage']:12} "
            f"{finding['message_key'] or finding['tenant']}: {finding['what']}{age}"
        )
    more = sum(document["totals"][kind] for kind in KINDS) - SHOWN
    if more > 0:
        lines.append(f"… and {more} more: --json lists all of them")
    lines.append(
        "the audit balances: nothing is lost, duplicated, stuck or unexplained"
        if document["balanced"]
        else "THE AUDIT DOES NOT BALANCE: each finding above names a record and what is wrong"
    )
    return lines
