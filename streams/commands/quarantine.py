"""`sensorium quarantine list | show | replay`."""

import base64
from typing import Any

import click
import msgspec

from schemas.headers import with_generation
from schemas.topics import SOURCE_OF, Names, TopicName
from storage.postgres.sql import queries
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit, note
from streams.commands.replay import next_generation, run_replay
from streams.lanes.transactions import Write
from streams.repair.writing import write_all

_REPLAYABLE: dict[str, TopicName] = {"dedupe": "raw-messages", "assemble": "enrichments", "sink": "enriched-messages"}
"""Stage → the topic its records go back to. A job's message was closed with failed(quarantined): replay attachments opens it again."""


@click.group()
def quarantine() -> None:
    """Records that a stage refused, kept whole."""


def _filters(command: Any) -> Any:
    for option in (
        click.option("--tenant"),
        click.option("--stage", type=click.Choice([*SOURCE_OF, "sink"])),
        click.option("--reason"),
    ):
        command = option(command)
    return command


def _place(text: str | None) -> tuple[str | None, int | None, int | None]:
    if text is None:
        return None, None, None
    topic, _, rest = text.rpartition("[")
    partition, _, offset = rest.partition("]@")
    if not topic or not partition.isdigit() or not offset.isdigit():
        raise click.UsageError(f"{text!r} is no place: TOPIC[PARTITION]@OFFSET, as `quarantine list` shows it")
    return topic, int(partition), int(offset)


async def _found(
    settings: Any, *, tenant: str | None, stage: str | None, reason: str | None, state: str | None, place: str | None, limit: int
) -> list[Any]:
    async with database(settings) as connection:
        return list(await connection.fetch(queries("repair")["quarantined"], tenant, stage, reason, state, *_place(place), limit))


def _shown(row: Any) -> dict[str, Any]:
    names = ("tenant_id", "stage", "reason", "detail", "record_key", "state")
    return {
        "place": f"{row['topic']}[{row['partition']}]@{row['offset']}",
        **{name: row[name] for name in names},
        "created_at": row["created_at"].isoformat(),
    }


@quarantine.command("list")
@_filters
@click.option("--state", type=click.Choice(["new", "replayed", "dismissed"]), default="new", show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@as_json_option
def list_(tenant: str | None, stage: str | None, reason: str | None, state: str, limit: int, as_json: bool) -> None:
    """What is in quarantine."""
    settings = command_settings()
    rows = run_command(lambda: _found(settings, tenant=tenant, stage=stage, reason=reason, state=state, place=None, limit=limit))
    shown = [_shown(row) for row in rows]
    emit({"quarantined": shown}, as_json, [f"{s['place']:32} {s['stage']:11} {s['reason']:22} {s['tenant_id']:16} {s['detail']}" for s in shown])
    if not shown:
        note("nothing is in quarantine")


@quarantine.command()
@click.argument("place")
@as_json_option
def show(place: str, as_json: bool) -> None:
    """One record whole. PLACE is TOPIC[PARTITION]@OFFSET."""
    settings = command_settings()
    rows = run_command(lambda: _found(settings, tenant=None, stage=None, reason=None, state=None, place=place, limit=10))
    if not rows:
        raise click.ClickException(f"nothing in quarantine came from {place}")
    shown = [
        _shown(row) | {"value_base64": base64.b64encode(row["value"] or b"").decode(), "headers": msgspec.json.decode(row["headers"])} for row in rows
    ]
    emit({"quarantined": shown}, as_json, [f"{name}: {value}" for one in shown for name, value in one.items()])


@quarantine.command()
@click.argument("place", required=False)
@_filters
@click.option("--all", "everything", is_flag=True, help="All that are new.")
@as_json_option
def replay(place: str | None, tenant: str | None, stage: str | None, reason: str | None, everything: bool, as_json: bool) -> None:
    """Sends quarantined records through again, after the fix: one PLACE, or what the options choose."""
    if not (place or tenant or stage or reason or everything):
        raise click.UsageError("say which: a PLACE, --tenant, --stage, --reason, or --all")
    settings = command_settings()
    names = Names(settings.namespace)

    async def work() -> dict[str, Any]:
        rows = await _found(settings, tenant=tenant, stage=stage, reason=reason, state=None if place else "new", place=place, limit=10_000)
        chosen = [row for row in rows if row["stage"] in _REPLAYABLE]
        left = len(rows) - len(chosen)
        if not chosen:
            return {"generation": None, "records": 0, "left": left}
        async with database(settings) as connection:
            generation = await next_generation(connection, settings, "quarantine replay", f"{len(chosen)} records")
            write_all(settings.kafka, names, [_again(row, names, generation) for row in chosen])
            await connection.executemany(
                queries("repair")["mark_replayed"], [(row["stage"], row["topic"], row["partition"], row["offset"]) for row in chosen]
            )
        return {"generation": generation, "records": len(chosen), "left": left}

    done = run_replay(work)
    emit(done, as_json, [f"{done['records']} records replayed"])
    if done["left"]:
        note(f"{done['left']} are jobs whose message is closed: sensorium replay attachments --reason quarantined")


def _again(row: Any, names: Names, generation: int) -> Write:
    """A raw record goes under a new generation: whether another delivery came through meanwhile or not, its row is written once more."""
    headers = [(name, value.encode("latin-1")) for name, value in msgspec.json.decode(row["headers"]).items()]
    if row["stage"] == "dedupe":
        headers = with_generation(headers, generation)
    partition = row["partition"] if row["stage"] == "sink" else -1
    return Write(names.topic(_REPLAYABLE[row["stage"]]), row["key"] or b"", row["value"], partition, headers)
