"""`sensorium quarantine list | show | replay | dismiss`: the records that stages refused."""

import asyncio
import base64
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, get_args

import click
import msgspec

from schemas.pipeline import SOURCE_OF
from schemas.reasons import QuarantineReason
from schemas.settings import Settings
from storage.postgres.dismissing import DismissChoice
from storage.postgres.dismissing import dismiss as dismiss_records
from storage.postgres.repair_plans import Counted, RepairChoice
from storage.postgres.sql import queries
from storage.waiting import Deadline
from streams.commands import waiting
from streams.commands.environment import command_settings, database, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit, note
from streams.commands.readable import readable
from streams.commands.repairing import AppliedRepair, RepairCommand, rate_option, yes_option
from streams.commands.replay import request_of
from streams.repair.quarantined import PLACE_COLUMNS

_POLL_SECONDS = 0.5


@click.group()
def quarantine() -> None:
    """Lists, replays and dismisses records that a stage refused."""


def _filters(command: Any) -> Any:
    for option in (
        click.option("--tenant"),
        click.option("--stage", type=click.Choice([*SOURCE_OF, "sink"])),
        click.option("--reason", type=click.Choice(get_args(QuarantineReason)), metavar="REASON"),
    ):
        command = option(command)
    return command


class RecordPosition(NamedTuple):
    """The position of a record, as `quarantine list` shows it."""

    topic: str
    partition: int
    offset: int


_PLACE = re.compile(r"(.+)\[([0-9]{1,9})\]@([0-9]{1,18})")


def _position(text: str | None) -> RecordPosition | None:
    if text is None:
        return None
    match = _PLACE.fullmatch(text)
    if match is None:
        raise click.UsageError(
            f"{text!r} is not a position: TOPIC[PARTITION]@OFFSET, as `quarantine list` shows it"
        )
    return RecordPosition(match[1], int(match[2]), int(match[3]))


@dataclass(frozen=True, slots=True)
class _RecordFilter:
    tenant: str | None = None
    stage: str | None = None
    reason: str | None = None
    state: str | None = None
    place: RecordPosition | None = None


async def _found(settings: Settings, chosen: _RecordFilter, limit: int | None) -> list[Any]:
    place = chosen.place or (None, None, None)
    async with database(settings) as connection:
        return list(
            await connection.fetch(
                queries("repair")["quarantined"],
                chosen.tenant,
                chosen.stage,
                chosen.reason,
                chosen.state,
                *place,
                limit,
            )
        )


async def _whole(settings: Settings, rows: list[Any]) -> list[Any]:
    """Reads the rows with their bytes.

    `_found` leaves the bytes out, because there may be many and large ones.
    """
    columns = [[row[name] for row in rows] for name in PLACE_COLUMNS]
    async with database(settings) as connection:
        return list(await connection.fetch(queries("repair")["quarantined_whole"], *columns))


def _shown_position(row: Any) -> str:
    return f"{row['topic']}[{row['partition']}]@{row['offset']}"


def _shown(row: Any) -> dict[str, Any]:
    names = ("tenant_id", "stage", "reason", "detail", "record_key", "state")
    return {
        "place": _shown_position(row),
        **{name: row[name] for name in names},
        "created_at": row["created_at"].isoformat(),
    }


@quarantine.command("list")
@_filters
@click.option(
    "--state", type=click.Choice(["new", "replayed", "dismissed"]), default="new", show_default=True
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@as_json_option
def list_(
    tenant: str | None, stage: str | None, reason: str | None, state: str, limit: int, as_json: bool
) -> None:
    """Lists the records in quarantine."""
    settings = command_settings()
    require_tenant(settings, tenant)
    rows = run_command(lambda: _found(settings, _RecordFilter(tenant, stage, reason, state), limit))
    shown = [_shown(row) for row in rows]
    emit(
        {"quarantined": shown},
        as_json,
        [
            f"{s['created_at'][:19]}  {s['place']:32} {s['stage']:11} {s['reason']:22} "
            f"{s['tenant_id']:16} {s['detail']}"
            for s in shown
        ],
    )
    if not shown:
        note("nothing is in quarantine")


@quarantine.command()
@click.argument("place")
@as_json_option
def show(place: str, as_json: bool) -> None:
    """Shows one record completely. PLACE is TOPIC[PARTITION]@OFFSET."""
    settings, at = command_settings(), _position(place)
    rows = run_command(lambda: _found(settings, _RecordFilter(place=at), None))
    if not rows:
        raise click.ClickException(f"nothing in quarantine came from {place}")
    whole = run_command(lambda: _whole(settings, rows))
    shown = [
        _shown(row)
        | {
            "headers": msgspec.json.decode(bytes_["headers"]),
            "record": readable(row["topic"], bytes_["value"]),
            "value_base64": base64.b64encode(bytes_["value"] or b"").decode(),
        }
        for row, bytes_ in zip(rows, whole, strict=True)
    ]
    emit(
        {"quarantined": shown},
        as_json,
        [line for one in shown for line in _lines(one)],
    )


def _lines(document: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Formats a document for a person, one field per line.

    Nested fields are indented. The bytes are only in --json.
    """
    for name, value in document.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        elif name != "value_base64":
            yield f"{indent}{name}: {value}"


@quarantine.command()
@click.argument("place", required=False)
@_filters
@click.option("--all", "everything", is_flag=True, help="All new records.")
@as_json_option
def dismiss(
    place: str | None,
    tenant: str | None,
    stage: str | None,
    reason: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Takes records off the list: one PLACE, or those that the options choose.

    Their bytes are kept until they expire.
    """
    _require_choice(place, tenant, stage, reason, everything)
    settings, at = command_settings(), _position(place)
    require_tenant(settings, tenant)

    async def work() -> int:
        async with database(settings) as connection, connection.transaction():
            return await dismiss_records(connection, DismissChoice(tenant, stage, reason, at))

    dismissed = run_command(work)
    if place and not dismissed:
        raise click.ClickException(f"nothing new in quarantine came from {place}")
    emit({"dismissed": dismissed}, as_json, [f"{waiting.counted(dismissed, 'record')} dismissed"])


def _require_choice(
    place: str | None, tenant: str | None, stage: str | None, reason: str | None, everything: bool
) -> None:
    if not (place or tenant or stage or reason or everything):
        raise click.UsageError("choose records: a PLACE, --tenant, --stage, --reason, or --all")


@quarantine.command()
@click.argument("place", required=False)
@_filters
@click.option("--all", "everything", is_flag=True, help="All new records.")
@click.option(
    "--wait-seconds",
    type=click.FloatRange(0, 600),
    default=10.0,
    show_default=True,
    help="How long to wait for the outcome of the records.",
)
@rate_option
@yes_option
@as_json_option
def replay(wait_seconds: float, rate: float, yes: bool, as_json: bool, **chosen: Any) -> None:
    """Processes quarantined records again after a fix.

    They are one PLACE, or those that the options choose. Prints the plan, and asks if
    it runs in a terminal. Records that were tried three times are left out, unless
    their PLACE is given.
    """
    tenant, place = chosen["tenant"], chosen["place"]
    _require_choice(place, tenant, chosen["stage"], chosen["reason"], chosen["everything"])
    settings, at = command_settings(), _position(place)
    require_tenant(settings, tenant)
    choice = RepairChoice(
        chosen["reason"] or "", chosen["stage"] or "", None if at is None else (*at, None)
    )
    request = request_of("quarantine", tenant, choice, rate)
    command = RepairCommand(settings, request, _progress, _left)
    counted = command.counted()
    if at and not counted.lines:
        raise click.ClickException(f"nothing in quarantine came from {place}")
    stays = Counter[str]()
    for line in counted.lines:
        stays[line.becomes] += line.records
    if stays["refused"] and stays["refused"] == stays.total():
        raise click.ClickException(_refusal(counted))
    done: dict[str, Any] = {"generation": None, "records": 0}
    if counted.records:
        began = datetime.now(UTC)
        applied = command.applied(counted, asks=not (yes or as_json))
        done, _ = _left(applied)
        done["outcomes"] = run_command(
            partial(_outcomes, settings, applied.items, done["generation"], began, wait_seconds)
        )
        assert applied.held is not None
        if old := applied.held.looked - applied.held.redone - applied.held.set_aside:
            older = waiting.counted(old, "record")
            note(f"not written again: {older} older than the row of their message")
    done["left"] = stays.total() - stays["again"]
    emit(
        done,
        as_json,
        [f"{waiting.counted(done['records'], 'record')} replayed", *_outcome_lines(done)],
    )
    if stays["refused"]:
        note(_refusal(counted))
    _note_what_stays(stays)


def _note_what_stays(stays: Counter[str]) -> None:
    """Says which records were not replayed, and what can be done with them."""
    if stays["set_aside"]:
        note(
            f"{stays['set_aside']} were tried three times and are set aside: give the "
            "PLACE of one to try it again"
        )
    if stays["job"]:
        note(
            f"{stays['job']} are jobs of finished messages, which open again by: "
            "sensorium replay attachments --reason quarantined"
        )


def _progress(applied: AppliedRepair) -> str:
    return f"{applied.tried} of {applied.counted.records} records"


def _left(applied: AppliedRepair) -> tuple[dict[str, Any], str]:
    held = applied.held
    assert held is not None
    return {"generation": held.generation, "records": held.redone}, (
        f"replayed before that: {waiting.counted(held.redone, 'record')} as generation"
        f" {held.generation}; run the same command for the rest"
    )


def _outcome_lines(done: dict[str, Any]) -> Iterator[str]:
    """Formats the outcome of the records, and where to look for the rest."""
    meaning = {
        "written": "are rows now",
        "quarantined": "were refused again: sensorium quarantine list",
        "unsettled": "have no outcome yet, or were skipped: sensorium trace MESSAGE_KEY",
    }
    for outcome, count in done.get("outcomes", {}).items():
        if count:
            yield f"{count} {meaning[outcome]}"


async def _outcomes(
    settings: Settings,
    items: list[tuple[str | int, ...]],
    generation: int,
    began: datetime,
    wait_seconds: float,
) -> dict[str, int]:
    """Counts the outcomes, once every record has one or the time is over.

    A record of assemble or of the sink returns under its own generation, so a row of
    any version counts as written.
    """
    tenants, keys = [one[0] for one in items], [one[1] for one in items]
    generations = [generation if one[3] == "dedupe" else None for one in items]
    deadline = Deadline(wait_seconds)
    while True:
        async with database(settings) as connection:
            outcomes = await connection.fetch(
                queries("repair")["became_of"], tenants, keys, generations, began
            )
        written = sum(row["written"] for row in outcomes)
        quarantined = sum(row["quarantined"] and not row["written"] for row in outcomes)
        unsettled = len(outcomes) - written - quarantined
        if not unsettled or deadline.has_passed:
            return {"written": written, "quarantined": quarantined, "unsettled": unsettled}
        await asyncio.sleep(_POLL_SECONDS)


def _refusal(counted: Counted) -> str:
    """Returns the message about records that cannot be replayed.

    The sink also reads receipts, and a refused receipt must not be written among
    messages.
    """
    refused = [line for line in counted.lines if line.becomes == "refused"]
    others = sum(line.records for line in refused) - 1
    more = f" and {others} more" if others else ""
    return (
        f"{refused[0].place}{more} cannot be replayed: of the records that the sink refused, "
        "only those of enriched-messages can"
    )
