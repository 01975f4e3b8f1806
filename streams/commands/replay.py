"""`sensorium replay raw | attachments`: processes records or files again."""

from collections import Counter
from typing import Any, get_args

import click
from confluent_kafka import KafkaException

from schemas.keys import TenantId
from schemas.reasons import AttachmentReason
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.people import EVERY_TENANT
from storage.postgres.repair_plans import Counted, RepairChoice, RepairKind, RepairRequest
from storage.postgres.sql import queries
from streams.commands import waiting
from streams.commands.environment import (
    actor,
    command_settings,
    counts_fit,
    database,
    moment,
    run_command,
)
from streams.commands.known import require_tenant
from streams.commands.output import Failure, as_json_option, emit, note
from streams.commands.repairing import (
    AppliedRepair,
    RepairCommand,
    note_plan,
    rate_option,
    yes_option,
)
from streams.repair.raw import OffsetRange, RawReader, left_of, position_of, span_of

_WHOLE_RANGE_SECONDS = float("inf")


@click.group()
def replay() -> None:
    """Processes messages again. Rows get a higher version; no new rows appear."""


def request_of(
    kind: RepairKind, tenant: str | None, choice: RepairChoice, rate: float
) -> RepairRequest:
    """Returns the repair request of this command, for one tenant or for all."""
    return RepairRequest(TenantId(tenant or EVERY_TENANT), kind, choice, actor(), rate)


def _spans(arguments: tuple[str, ...], partitions: int) -> list[OffsetRange]:
    spans = []
    for text in arguments:
        try:
            spans.append(span_of(text))
        except ValueError:
            raise click.UsageError(
                f"{text!r} is not a span: write PARTITION:FIRST-LAST, both offsets included"
            ) from None
        if spans[-1].partition >= partitions:
            raise click.UsageError(
                f"{text!r}: there are partitions 0 to {partitions - 1}, as"
                f" SENSORIUM_KAFKA__PARTITIONS is {partitions}"
            )
    return spans


@replay.command()
@click.option("--offsets", multiple=True, help="PARTITION:FIRST-LAST, both included; repeatable.")
@click.option("--since", help="Records since this time, as 2026-01-31T12:00:00Z.")
@click.option("--until", help="Records before this time.")
@click.option("--tenant", help="Only this tenant's records.")
@click.option("--dry-run", is_flag=True, help="Count the records and write nothing.")
@rate_option
@yes_option
@as_json_option
def raw(dry_run: bool, rate: float, yes: bool, as_json: bool, **chosen: Any) -> None:
    """Processes raw records again, for instance after a new prompt, a new model or a fixed bug.

    Prints the plan, and asks if it runs in a terminal. Of several sets of topics it reads
    and writes the one that SENSORIUM_NAMESPACE names.
    """
    offsets, tenant = chosen["offsets"], chosen["tenant"]
    if bool(offsets) == bool(chosen["since"]) or (offsets and chosen["until"]):
        raise click.UsageError("choose records: --offsets, or --since (and --until)")
    settings = command_settings()
    requested = _spans(offsets, settings.kafka.partitions)
    begin, end = moment(chosen["since"]), moment(chosen["until"])
    require_tenant(settings, tenant)
    counts_fit(settings)
    spans = _held_by_the_log(settings, requested) if begin is None else []
    choice = RepairChoice(spans=tuple(map(str, spans)), since=begin, until=end)
    request = request_of("raw", tenant, choice, rate)
    command = RepairCommand(settings, request, _raw_progress, lambda done: _raw_left(done, tenant))
    if not dry_run:
        command.check()
    counted = (
        command.counted(_WHOLE_RANGE_SECONDS if dry_run else None)
        if spans or begin is not None
        else Counted(0, (), choice)
    )
    if dry_run:
        _emit_raw_plan(counted, as_json)
        return
    if not counted.records:
        emit({"generation": None, "records": 0}, as_json, ["the topic has none of these records"])
        return
    applied = command.applied(counted, asks=not (yes or as_json))
    assert applied.held is not None
    done = {"generation": applied.held.generation, "records": applied.held.redone}
    emit(
        done,
        as_json,
        [
            f"{waiting.counted(done['records'], 'raw record')} replayed as generation"
            f" {done['generation']}"
        ],
    )


def _held_by_the_log(settings: Settings, requested: list[OffsetRange]) -> list[OffsetRange]:
    """Returns the parts of the spans that the topic still has, and prints what it does not have."""
    spans = []
    reader = RawReader(settings.kafka, Names(settings.namespace))
    try:
        held = reader.held() if requested else {}
        for span in requested:
            whole = held[span.partition]
            there = span.within(whole)
            holds = there.begin < there.end
            if there != span:
                note(
                    f"of {span} the topic has {there if holds else 'nothing'}:"
                    f" partition {span.partition} is {whole}"
                )
            if holds:
                spans.append(there)
    except KafkaException as error:
        raise Failure(f"Kafka: {error.args[0].str()}. Nothing was replayed") from None
    except TimeoutError as error:
        raise Failure(f"Kafka: {error}. Nothing was replayed") from None
    finally:
        reader.close()
    return spans


def _emit_raw_plan(counted: Counted, as_json: bool) -> None:
    """Prints how many records of each tenant a replay would write.

    It also prints what the models' answers for them have cost.
    """
    lines = [f"{line.records:8}  {line.tenant}" for line in counted.lines]
    unpriced = f" and {counted.unpriced} without a known price" if counted.unpriced else ""
    least = "" if counted.is_cost_whole else "at least "
    cost = (
        f"recorded for them: {least}{waiting.counted(counted.answers, 'answer')} of models"
        f" ({counted.paid_microusd / 1_000_000:.6f} USD{unpriced});"
        " they are paid again only if prompt, model or language changed"
    )
    emit(
        {
            "dry_run": True,
            "generation": None,
            "records": counted.records,
            "tenants": {line.tenant: line.records for line in counted.lines},
            "answers": counted.answers,
            "unpriced_answers": counted.unpriced,
            "cost_microusd": counted.paid_microusd,
            "is_cost_whole": counted.is_cost_whole,
        },
        as_json,
        [f"{waiting.counted(counted.records, 'raw record')} would be replayed", *lines, cost],
    )


def _raw_progress(applied: AppliedRepair) -> str:
    held = applied.held
    assert held is not None
    partition, _, offset = held.done_key.partition(":")
    return f"{held.redone} records replayed, partition {partition} up to offset {offset}"


def _raw_left(applied: AppliedRepair, tenant: str | None) -> tuple[dict[str, Any], str]:
    """Returns the result so far, and how to continue."""
    held = applied.held
    assert held is not None
    spans = [span_of(text) for text in held.choice.spans]
    left = [str(span) for span in left_of(spans, position_of(held.done_key))]
    whose = f" --tenant {tenant}" if tenant else ""
    go_on = f"sensorium replay raw {' '.join(f'--offsets {span}' for span in left)}{whose}"
    document = {
        "generation": held.generation,
        "records": held.redone,
        "left": left,
        "go_on": go_on,
    }
    return document, (
        f"replayed before that: {waiting.counted(held.redone, 'record')} as generation"
        f" {held.generation}; for the rest: {go_on}"
    )


@replay.command()
@click.option(
    "--reason",
    required=True,
    type=click.Choice(get_args(AttachmentReason)),
    metavar="REASON",
    help="Only attachments that failed for this reason, such as model_unavailable.",
)
@click.option("--tenant", help="Only this tenant's.")
@click.option("--dry-run", is_flag=True, help="Count the attachments and write nothing.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=1_000,
    show_default=True,
    help="The most messages that are tried. Those that are left out do not count.",
)
@click.option(
    "--with-gone",
    is_flag=True,
    help="Also try files that the provider says it no longer has (media_gone).",
)
@rate_option
@yes_option
@as_json_option
def attachments(reason: str, tenant: str | None, dry_run: bool, as_json: bool, **how: Any) -> None:
    """Tries failed attachments again.

    Begins with the stored file if there is one, else with the download. Prints the
    plan, and asks if it runs in a terminal. Attachments that were tried three times are
    left out, and those that the provider says it no longer has.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    choice = RepairChoice(reason=reason, limit=how["limit"], with_gone=how["with_gone"])
    request = request_of("attachments", tenant, choice, how["rate"])
    command = RepairCommand(settings, request, _files_progress, _files_left)
    counted = command.counted()
    if dry_run:
        _emit_files_plan(counted, request, as_json)
        return
    done: dict[str, Any] = {"generation": None, "messages": 0, "attachments": 0}
    tried = 0
    if counted.records:
        applied = command.applied(counted, asks=not (how["yes"] or as_json))
        done, _ = _files_left(applied)
        assert applied.held is not None
        tried = applied.held.looked - applied.held.set_aside
    emit(
        done,
        as_json,
        [f"tried again: {_of_messages(done['attachments'], done['messages'])}"],
    )
    _note_what_stays(settings, counted, request, tried)


def _of_messages(files: int, messages: int) -> str:
    return f"{waiting.counted(files, 'attachment')} of {waiting.counted(messages, 'message')}"


def _note_what_stays(
    settings: Settings, counted: Counted, request: RepairRequest, tried: int
) -> None:
    if tried == request.choice.limit:
        note(f"there may be more than {tried}: run the same command again")
    stays = Counter[str]()
    for line in counted.lines:
        stays[line.becomes] += line.messages
    if stays["without"]:
        note(f"{stays['without']} have neither a file nor a URL: there is nothing to try again")
    if stays["set_aside"]:
        note(f"{stays['set_aside']} were tried three times and are set aside")
    if stays["gone"]:
        note(
            f"{stays['gone']} cannot be retried: the provider no longer has the file; "
            "ask the sender to send it again (--with-gone tries them anyway)"
        )
    if not counted.lines and (redone := run_command(lambda: _redone(settings, request))):
        note(f"{redone} are being redone already: see sensorium queue, sensorium trace MESSAGE_KEY")


def _emit_files_plan(counted: Counted, request: RepairRequest, as_json: bool) -> None:
    tenants, files = Counter[str](), 0
    for line in counted.lines:
        if line.becomes == "again":
            tenants[line.tenant] += line.messages
            files += line.records
    plan = {
        "dry_run": True,
        "generation": None,
        "messages": counted.records,
        "attachments": files,
        "gone": counted.gone,
        "tenants": dict(tenants),
    }
    lines = [f"{count:8}  {name}" for name, count in tenants.most_common()]
    emit(
        plan,
        as_json,
        [f"would be tried again: {_of_messages(files, counted.records)}", *lines],
    )
    note_plan(request, counted)


def _files_progress(applied: AppliedRepair) -> str:
    return f"{applied.tried} of {applied.counted.records} messages"


def _files_left(applied: AppliedRepair) -> tuple[dict[str, Any], str]:
    held = applied.held
    assert held is not None
    document = {
        "generation": held.generation,
        "messages": applied.tried,
        "attachments": held.redone,
    }
    return document, (
        f"tried again: {waiting.counted(applied.tried, 'message')} as generation {held.generation};"
        " for the rest, run the same command again"
    )


async def _redone(settings: Settings, request: RepairRequest) -> int:
    """Returns how many messages are left out because a repair has not finished them yet."""
    tenant = None if request.tenant_id == EVERY_TENANT else request.tenant_id
    async with database(settings) as connection:
        return int(
            await connection.fetchval(
                queries("repair")["redone_messages"], request.choice.reason, tenant
            )
        )
