"""`sensorium replay raw | attachments`."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args

import click
from confluent_kafka import KafkaException

from schemas.headers import header
from schemas.reasons import AttachmentReason
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.erased import Erased, all_erased
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.apps.encoding import Encoding
from streams.commands.environment import (
    command_settings,
    database,
    kafka_answers,
    moment,
    run_command,
)
from streams.commands.known import require_tenant
from streams.commands.output import Failure, as_json_option, emit, note
from streams.repair.attachments import failed_for, failed_messages, item_for
from streams.repair.raw import OffsetRange, RawReader, RawRecordPosition, left_of
from streams.repair.writing import Item, Portion, committed_portions

_KEYS_AT_ONCE = 5_000
_SPAN = re.compile(r"([0-9]{1,6}):([0-9]{1,18})-([0-9]{1,18})")


class _DryRun(NamedTuple):
    """How a dry run was called."""

    settings: Settings
    tenant: str | None
    as_json: bool


@click.group()
def replay() -> None:
    """Does work again. Rows get a higher version; no new rows appear."""


def next_generation(settings: Settings, command: str, detail: str) -> int:
    """The number all that this command redoes will bear."""

    async def work() -> int:
        async with database(settings) as connection:
            return await Tenancy(connection, Vault(settings.secrets.key)).next_generation(
                command, detail.strip()
            )

    return run_command(work)


@contextmanager
def broken_off(document: dict[str, Any], told: str) -> Iterator[None]:
    """Makes what ends a replay in its middle a message that says how far it came. `told` is formatted with the document as it is then."""
    try:
        yield
    except KafkaException as error:
        raise Failure(
            f"Kafka: {error.args[0].str()}. {told.format(**document)}", document
        ) from None
    except TimeoutError as error:
        raise Failure(f"Kafka: {error}. {told.format(**document)}", document) from None
    except click.ClickException as error:
        raise Failure(f"{error.format_message()}. {told.format(**document)}", document) from None
    except KeyboardInterrupt:
        raise Failure(f"interrupted. {told.format(**document)}", document) from None


def _spans(given: tuple[str, ...], partitions: int) -> list[OffsetRange]:
    spans = []
    for text in given:
        match = _SPAN.fullmatch(text)
        if match is None or int(match[3]) < int(match[2]):
            raise click.UsageError(
                f"{text!r} is no span: PARTITION:FIRST-LAST, both offsets included"
            )
        if int(match[1]) >= partitions:
            raise click.UsageError(f"{text!r}: there are partitions 0 to {partitions - 1}")
        spans.append(OffsetRange(int(match[1]), int(match[2]), int(match[3]) + 1))
    return spans


@replay.command()
@click.option("--offsets", multiple=True, help="PARTITION:FIRST-LAST, both included; repeatable.")
@click.option("--since", help="From this time on, as 2026-01-31T12:00:00Z.")
@click.option("--until", help="Up to this time.")
@click.option("--tenant", help="Only this tenant's records.")
@click.option("--dry-run", is_flag=True, help="Count the records and write nothing.")
@as_json_option
def raw(
    offsets: tuple[str, ...],
    since: str | None,
    until: str | None,
    tenant: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Sends raw records through the pipeline again: after a new prompt, a new model, a fixed bug."""
    if bool(offsets) == bool(since) or (offsets and until):
        raise click.UsageError("say which records: --offsets, or --since (and --until)")
    settings = command_settings()
    asked, begin, end = _spans(offsets, settings.kafka.partitions), moment(since), moment(until)
    require_tenant(settings, tenant)
    kafka_answers(settings)
    erased = run_command(lambda: _erased(settings, tenant))
    reader = RawReader(settings.kafka, Names(settings.namespace), erased)
    try:
        with broken_off({}, "Nothing was replayed"):
            spans = (
                [span for span in _cut(reader, asked) if span.begin < span.end]
                if begin is None
                else reader.between(begin, end)
            )
        if dry_run:
            _emit_plan(reader, spans, _DryRun(settings, tenant, as_json))
            return
        done = (
            _replay(reader, spans, tenant, settings)
            if spans
            else {"generation": None, "records": 0}
        )
    finally:
        reader.close()
    emit(
        done,
        as_json,
        [
            f"{done['records']} raw records replayed as generation {done['generation']}"
            if spans
            else "the log holds nothing of that"
        ],
    )


async def _erased(settings: Settings, tenant: str | None) -> Erased:
    async with database(settings) as connection:
        return await all_erased(connection, tenant)


def _emit_plan(reader: RawReader, spans: list[OffsetRange], asked: _DryRun) -> None:
    """Says how many records of which tenants a replay would write, and what the models' answers about them have cost.

    Reads the whole range, and writes nothing.
    """
    tenants: Counter[str] = Counter()
    keys: dict[tuple[str, str], None] = {}
    with broken_off({}, "Nothing was replayed"):
        for item in reader.again(spans, asked.tenant, 0):
            for write in item.writes:
                name = (header(write.headers, "tenant") or b"").decode(errors="replace")
                tenants[name] += 1
                keys[name, write.key.decode(errors="replace")] = None
    paid = run_command(lambda: _paid_for(asked.settings, list(keys)))
    records = tenants.total()
    lines = [f"{count:8}  {name}" for name, count in tenants.most_common()]
    emit(
        {
            "dry_run": True,
            "generation": None,
            "records": records,
            "tenants": dict(tenants),
            "answers": paid.answers,
            "unpriced_answers": paid.unpriced,
            "cost_microusd": paid.microusd,
        },
        asked.as_json,
        [f"{records} raw records would be replayed", *lines, _cost_line(paid)],
    )


class _Paid(NamedTuple):
    """Recorded answers about the files of some messages."""

    answers: int = 0
    unpriced: int = 0
    microusd: int = 0


def _cost_line(paid: _Paid) -> str:
    unpriced = f" and {paid.unpriced} without a known price" if paid.unpriced else ""
    return (
        f"{paid.answers} answers of models are recorded for them ({paid.microusd / 1_000_000:.6f} USD{unpriced});"
        " they are paid for again only where prompt, model or language changed"
    )


async def _paid_for(settings: Settings, keys: list[tuple[str, str]]) -> _Paid:
    total = _Paid()
    async with database(settings) as connection:
        for begin in range(0, len(keys), _KEYS_AT_ONCE):
            columns = map(list, zip(*keys[begin : begin + _KEYS_AT_ONCE], strict=True))
            (row,) = await connection.fetch(queries("overview")["paid_for"], *columns)
            total = _Paid(*(one + more for one, more in zip(total, row, strict=True)))
    return total


def _cut(reader: RawReader, asked: list[OffsetRange]) -> Iterator[OffsetRange]:
    """What the log holds of it; a person is told what it does not."""
    for span in asked:
        there = reader.cut(span)
        if there != span:
            whole = reader.whole(span.partition)
            note(
                f"of {span} the log holds {there if there.begin < there.end else 'nothing'}: partition {span.partition} is {whole}"
            )
        yield there


def _replay(
    reader: RawReader, spans: list[OffsetRange], tenant: str | None, settings: Settings
) -> dict[str, Any]:
    """The document; ends the command with one that says what is left when it breaks off."""
    text = " ".join(map(str, spans))
    generation = next_generation(settings, "replay raw", f"{text} {tenant or ''}")
    progress = _Progress(
        spans,
        tenant,
        {"generation": generation, "records": 0, "left": [str(span) for span in spans]},
    )
    told = "{records} records were replayed as generation {generation} before that; for the rest: {go_on}"
    with broken_off(progress.document, told):
        for portion in committed_portions(
            settings.kafka, Names(settings.namespace), reader.again(spans, tenant, generation)
        ):
            progress.committed(portion)
    return {"generation": generation, "records": progress.document["records"]}


@dataclass(slots=True)
class _Progress:
    """`document` says at any time what was done and what is left."""

    spans: list[OffsetRange]
    tenant: str | None
    document: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._leave(self.spans)

    def committed(self, portion: Portion[RawRecordPosition]) -> None:
        self.document["records"] += portion.records
        self._leave(left_of(self.spans, portion.mark))
        note(
            f"{self.document['records']} records replayed, partition {portion.mark.partition} up to offset {portion.mark.offset}"
        )

    def _leave(self, spans: list[OffsetRange]) -> None:
        self.document["left"] = [str(span) for span in spans]
        whose = f" --tenant {self.tenant}" if self.tenant else ""
        self.document["go_on"] = (
            f"sensorium replay raw {' '.join(f'--offsets {span}' for span in spans)}{whose}"
        )


@replay.command()
@click.option(
    "--reason",
    required=True,
    type=click.Choice(get_args(AttachmentReason)),
    metavar="REASON",
    help="Why they failed, such as model_unavailable.",
)
@click.option("--tenant", help="Only this tenant's.")
@click.option("--dry-run", is_flag=True, help="Count the attachments and write nothing.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=1_000,
    show_default=True,
    help="Messages at most.",
)
@as_json_option
def attachments(reason: str, tenant: str | None, dry_run: bool, limit: int, as_json: bool) -> None:
    """Tries failed attachments again: from the stored file where there is one, else from the download on."""
    settings = command_settings()
    names = Names(settings.namespace)
    require_tenant(settings, tenant)
    rows = run_command(lambda: _rows(settings, reason, tenant, limit))
    if dry_run:
        _emit_attachments_plan(settings, rows, reason, as_json)
        return
    done: dict[str, Any] = {"generation": None, "messages": 0, "attachments": 0}
    if rows:
        kafka_answers(settings)
        done["generation"] = generation = next_generation(
            settings, "replay attachments", f"{reason} {tenant or ''}"
        )
        items = run_command(lambda: _items(settings, rows, reason, generation))
        with broken_off(
            done,
            "{messages} messages are tried again as generation {generation}; for the rest, run the same command again",
        ):
            for portion in committed_portions(settings.kafka, names, _told(items)):
                done["messages"], done["attachments"] = portion.mark
                note(f"{done['messages']} of {len(items)} messages")
    emit(
        done,
        as_json,
        [f"{done['attachments']} attachments of {done['messages']} messages are tried again"],
    )
    if not rows and (redone := run_command(lambda: _redone(settings, reason, tenant))):
        note(f"{redone} are being redone already: sensorium queue, sensorium trace MESSAGE_KEY")
    if len(rows) == limit:
        note(f"there may be more than {limit}: run it again")
    elif len(rows) > done["messages"]:
        note(
            f"{len(rows) - done['messages']} have neither a file nor an address: there is nothing to try again"
        )


def _emit_attachments_plan(settings: Settings, rows: list[Any], reason: str, as_json: bool) -> None:
    items = run_command(lambda: _items(settings, rows, reason, 0))
    attachments, tenants = sum(item.mark for item in items), Counter(r["tenant_id"] for r in rows)
    plan = {
        "dry_run": True,
        "generation": None,
        "messages": len(items),
        "attachments": attachments,
        "tenants": dict(tenants),
    }
    lines = [f"{count:8}  {name}" for name, count in tenants.most_common()]
    emit(
        plan,
        as_json,
        [f"{attachments} attachments of {len(items)} messages would be tried again", *lines],
    )
    if len(items) < len(rows):
        note(f"{len(rows) - len(items)} more have neither a file nor an address")


async def _rows(settings: Settings, reason: str, tenant: str | None, limit: int) -> list[Any]:
    async with database(settings) as connection:
        return await failed_messages(connection, reason, tenant, limit)


async def _redone(settings: Settings, reason: str, tenant: str | None) -> int:
    """Messages left out because a repair has not finished them yet."""
    async with database(settings) as connection:
        return int(await connection.fetchval(queries("repair")["redone_messages"], reason, tenant))


async def _items(
    settings: Settings, rows: list[Any], reason: str, generation: int
) -> list[Item[int]]:
    encoding = Encoding(Names(settings.namespace), settings.kafka.partitions)
    async with database(settings) as connection:
        items = [
            await item_for(connection, row, failed_for(reason), generation, encoding)
            for row in rows
        ]
    return [item for item in items if item.writes]


def _told(items: list[Item[int]]) -> Iterator[Item[tuple[int, int]]]:
    """Each with the messages and attachments up to it."""
    redone = 0
    for messages, item in enumerate(items, 1):
        redone += item.mark
        yield Item(item.writes, (messages, redone))
