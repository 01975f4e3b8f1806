"""`sensorium quarantine list | show | replay | dismiss`."""

import asyncio
import base64
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, get_args

import click
import msgspec

from schemas.headers import with_generation
from schemas.pipeline import SOURCE_OF, TopicName
from schemas.reasons import QuarantineReason
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.sql import queries
from streams.commands.environment import command_settings, database, kafka_answers, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit, note
from streams.commands.readable import readable
from streams.commands.replay import broken_off, next_generation
from streams.lanes.transactions import Write
from streams.repair.superseded import parted
from streams.repair.writing import Item, committed_portions

_AT_ONCE = 50
_POLL_SECONDS = 0.5
_REPLAYABLE: dict[str, TopicName] = {
    "dedupe": "raw-messages",
    "assemble": "enrichments",
    "sink": "enriched-messages",
}
"""Stage → the topic its records go back to. A job's message was closed with failed(quarantined): replay attachments opens it again."""


@click.group()
def quarantine() -> None:
    """Records that a stage refused, kept whole."""


def _filters(command: Any) -> Any:
    for option in (
        click.option("--tenant"),
        click.option("--stage", type=click.Choice([*SOURCE_OF, "sink"])),
        click.option("--reason", type=click.Choice(get_args(QuarantineReason)), metavar="REASON"),
    ):
        command = option(command)
    return command


class RecordPosition(NamedTuple):
    """Where a record was, as `quarantine list` shows it."""

    topic: str
    partition: int
    offset: int


_PLACE_COLUMNS = ("stage", "topic", "partition", "offset", "topic_id")
"""What names one quarantined record: a topic that was made again has the same offsets under another id."""
_PLACE = re.compile(r"(.+)\[([0-9]{1,9})\]@([0-9]{1,18})")


def _place(text: str | None) -> RecordPosition | None:
    if text is None:
        return None
    match = _PLACE.fullmatch(text)
    if match is None:
        raise click.UsageError(
            f"{text!r} is no place: TOPIC[PARTITION]@OFFSET, as `quarantine list` shows it"
        )
    return RecordPosition(match[1], int(match[2]), int(match[3]))


@dataclass(frozen=True, slots=True)
class _RecordFilter:
    tenant: str | None = None
    stage: str | None = None
    reason: str | None = None
    state: str | None = None
    place: RecordPosition | None = None


async def _found(settings: Settings, wanted: _RecordFilter, limit: int | None) -> list[Any]:
    place = wanted.place or (None, None, None)
    async with database(settings) as connection:
        return list(
            await connection.fetch(
                queries("repair")["quarantined"],
                wanted.tenant,
                wanted.stage,
                wanted.reason,
                wanted.state,
                *place,
                limit,
            )
        )


async def _whole(settings: Settings, rows: list[Any]) -> list[Any]:
    """With their bytes, which `_found` leaves where they are: there may be many, and large ones."""
    columns = [[row[name] for row in rows] for name in _PLACE_COLUMNS]
    async with database(settings) as connection:
        return list(await connection.fetch(queries("repair")["quarantined_whole"], *columns))


def _shown_place(row: Any) -> str:
    return f"{row['topic']}[{row['partition']}]@{row['offset']}"


def _shown(row: Any) -> dict[str, Any]:
    names = ("tenant_id", "stage", "reason", "detail", "record_key", "state")
    return {
        "place": _shown_place(row),
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
    """What is in quarantine."""
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
    """One record whole. PLACE is TOPIC[PARTITION]@OFFSET."""
    settings, at = command_settings(), _place(place)
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
    """A document for a person: nested fields are indented, and the bytes are left to --json."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        elif name != "value_base64":
            yield f"{indent}{name}: {value}"


@quarantine.command()
@click.argument("place", required=False)
@_filters
@click.option("--all", "everything", is_flag=True, help="All that are new.")
@as_json_option
def dismiss(
    place: str | None,
    tenant: str | None,
    stage: str | None,
    reason: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Takes records off the list for good reason: one PLACE, or what the options choose. Their bytes stay until they expire."""
    _say_which(place, tenant, stage, reason, everything)
    settings, at = command_settings(), _place(place) or (None, None, None)
    require_tenant(settings, tenant)

    async def work() -> int:
        async with database(settings) as connection, connection.transaction():
            rows = await connection.fetch(
                queries("repair")["dismiss_quarantined"], tenant, stage, reason, *at
            )
            for owner, count in Counter(row["tenant_id"] for row in rows).items():
                what = " ".join(filter(None, (place, stage, reason)))
                detail = f"{count} records: {what or 'all'}"
                await connection.execute(
                    queries("tenancy")["write_audit"], owner, "quarantine dismiss", detail
                )
            return len(rows)

    dismissed = run_command(work)
    if place and not dismissed:
        raise click.ClickException(f"nothing new in quarantine came from {place}")
    emit({"dismissed": dismissed}, as_json, [f"{dismissed} records dismissed"])


def _say_which(
    place: str | None, tenant: str | None, stage: str | None, reason: str | None, everything: bool
) -> None:
    if not (place or tenant or stage or reason or everything):
        raise click.UsageError("say which: a PLACE, --tenant, --stage, --reason, or --all")


@quarantine.command()
@click.argument("place", required=False)
@_filters
@click.option("--all", "everything", is_flag=True, help="All that are new.")
@click.option(
    "--wait-seconds",
    type=click.FloatRange(0, 600),
    default=10.0,
    show_default=True,
    help="How long to wait for what becomes of them.",
)
@as_json_option
def replay(
    place: str | None,
    tenant: str | None,
    stage: str | None,
    reason: str | None,
    everything: bool,
    wait_seconds: float,
    as_json: bool,
) -> None:
    """Sends quarantined records through again, after the fix: one PLACE, or what the options choose."""
    _say_which(place, tenant, stage, reason, everything)
    settings, at = command_settings(), _place(place)
    require_tenant(settings, tenant)
    rows = run_command(
        lambda: _found(
            settings, _RecordFilter(tenant, stage, reason, None if at else "new", at), None
        )
    )
    if at and not rows:
        raise click.ClickException(f"nothing in quarantine came from {place}")
    chosen = [row for row in rows if _REPLAYABLE.get(row["stage"]) == row["topic"]]
    refused = [
        row
        for row in rows
        if row["stage"] in _REPLAYABLE and _REPLAYABLE[row["stage"]] != row["topic"]
    ]
    if refused and len(refused) == len(rows):
        raise click.ClickException(_refusal(refused))
    done: dict[str, Any] = {"generation": None, "records": 0, "left": len(rows) - len(chosen)}
    began = datetime.now(UTC)
    if chosen:
        kafka_answers(settings)
        done["generation"] = next_generation(
            settings, "quarantine replay", f"{len(chosen)} records"
        )
        with broken_off(
            done,
            "{records} records were replayed as generation {generation} before that; run the same command for the rest",
        ):
            for replayed in _replayed(settings, chosen, done["generation"]):
                done["records"] += replayed
                note(f"{done['records']} of {len(chosen)} records")
        done["outcomes"] = run_command(
            partial(_outcomes, settings, chosen, done["generation"], began, wait_seconds)
        )
    emit(done, as_json, [f"{done['records']} records replayed", *_told(done)])
    if refused:
        note(_refusal(refused))
    if jobs := len(rows) - len(chosen) - len(refused):
        note(
            f"{jobs} are jobs whose message is closed: sensorium replay attachments --reason quarantined"
        )


def _told(done: dict[str, Any]) -> Iterator[str]:
    """What became of the records, and where to look for the rest."""
    meaning = {
        "written": "are rows now",
        "quarantined": "were refused again: sensorium quarantine list",
        "unsettled": "have no outcome yet, or were skipped: sensorium trace MESSAGE_KEY",
    }
    for outcome, count in done.get("outcomes", {}).items():
        if count:
            yield f"{count} {meaning[outcome]}"


async def _outcomes(
    settings: Settings, rows: list[Any], generation: int, began: datetime, wait_seconds: float
) -> dict[str, int]:
    """Counts what became of each record, once all are settled or the time is over.

    A record of assemble or of the sink goes back under its own generation: a row of any version counts as written.
    """
    generations = {
        row["record_key"]: generation if row["stage"] == "dedupe" else None for row in rows
    }
    deadline = time.monotonic() + wait_seconds
    while True:
        async with database(settings) as connection:
            found = await connection.fetch(
                queries("repair")["became_of"],
                [row["tenant_id"] for row in rows],
                [row["record_key"] for row in rows],
                [generations[row["record_key"]] for row in rows],
                began,
            )
        written = sum(row["written"] for row in found)
        quarantined = sum(row["quarantined"] and not row["written"] for row in found)
        unsettled = len(found) - written - quarantined
        if not unsettled or time.monotonic() >= deadline:
            return {"written": written, "quarantined": quarantined, "unsettled": unsettled}
        await asyncio.sleep(_POLL_SECONDS)


def _refusal(rows: list[Any]) -> str:
    """The sink reads receipts too: one that it refused must not end up among messages."""
    others = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{_shown_place(rows[0])}{others} cannot be replayed: of what the sink refused only records of enriched-messages go back"


def _replayed(settings: Settings, chosen: list[Any], generation: int) -> Iterator[int]:
    """A few at a time, since each may be large: written, then marked. One that is written and not marked is only replayed once more."""
    names = Names(settings.namespace)
    for begin in range(0, len(chosen), _AT_ONCE):
        rows = run_command(partial(_whole, settings, chosen[begin : begin + _AT_ONCE]))
        rows, old = run_command(partial(_without_superseded, settings, rows))
        if old:
            run_command(partial(_mark, settings, old))
            note(f"{len(old)} records are older than the row of their message: not written again")
        for portion in committed_portions(
            settings.kafka,
            names,
            [Item((_again(row, names, generation),), n) for n, row in enumerate(rows)],
        ):
            run_command(
                partial(
                    _mark, settings, rows[portion.mark + 1 - portion.records : portion.mark + 1]
                )
            )
            yield portion.records


async def _without_superseded(settings: Settings, rows: list[Any]) -> tuple[list[Any], list[Any]]:
    async with database(settings) as connection:
        return await parted(connection, rows)


async def _mark(settings: Settings, rows: list[Any]) -> None:
    async with database(settings) as connection:
        places = [tuple(row[name] for name in _PLACE_COLUMNS) for row in rows]
        await connection.executemany(queries("repair")["mark_replayed"], places)


def _again(row: Any, names: Names, generation: int) -> Write:
    """A raw record goes under a new generation: whether another delivery came through meanwhile or not, its row is written once more."""
    headers = [
        (name, value.encode("latin-1"))
        for name, value in msgspec.json.decode(row["headers"]).items()
    ]
    if row["stage"] == "dedupe":
        headers = with_generation(headers, generation)
    partition = row["partition"] if row["stage"] == "sink" else -1
    return Write(
        names.topic(_REPLAYABLE[row["stage"]]), row["key"] or b"", row["value"], partition, headers
    )
