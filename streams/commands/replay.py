"""`sensorium replay raw | attachments`."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import click
from confluent_kafka import KafkaException

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.apps.encoding import Encoding
from streams.commands.environment import command_settings, database, moment, run_command
from streams.commands.output import as_json_option, emit
from streams.lanes.transactions import Write
from streams.repair.attachments import failed_messages, writes_for
from streams.repair.raw import RawReader, Span
from streams.repair.writing import write_all

_SPAN = re.compile(r"(\d{1,6}):(\d{1,18})-(\d{1,18})")


@click.group()
def replay() -> None:
    """Does work again. Rows get a higher version; no new rows appear."""


async def next_generation(connection: "asyncpg.Connection[asyncpg.Record]", settings: Settings, command: str, detail: str) -> int:
    """The number all that this command redoes will bear."""
    return await Tenancy(connection, Vault(settings.secrets.key)).next_generation(command, detail)


def run_replay(work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """run_command for what writes in one Kafka transaction: after its failure nothing is to be seen."""
    try:
        return run_command(work)
    except KafkaException as error:
        raise click.ClickException(f"Kafka: {error}; nothing was replayed") from None


def _spans(given: tuple[str, ...]) -> list[Span]:
    spans = []
    for text in given:
        match = _SPAN.fullmatch(text)
        if match is None:
            raise click.UsageError(f"{text!r} is no span: PARTITION:FIRST-LAST, both offsets included")
        spans.append(Span(int(match[1]), int(match[2]), int(match[3]) + 1))
    return spans


@replay.command()
@click.option("--offsets", multiple=True, help="PARTITION:FIRST-LAST, both included; repeatable.")
@click.option("--since", help="From this time on, as 2026-01-31T12:00:00Z.")
@click.option("--until", help="Up to this time.")
@click.option("--tenant", help="Only this tenant's records.")
@as_json_option
def raw(offsets: tuple[str, ...], since: str | None, until: str | None, tenant: str | None, as_json: bool) -> None:
    """Sends raw records through the pipeline again: after a new prompt, a new model, a fixed bug."""
    if bool(offsets) == bool(since):
        raise click.UsageError("say which records: --offsets, or --since (and --until)")
    asked, begin, end = _spans(offsets), moment(since), moment(until)
    settings = command_settings()
    names = Names(settings.namespace)

    async def work() -> dict[str, Any]:
        async with database(settings) as connection:
            generation = await next_generation(connection, settings, "replay raw", f"{offsets or ''} {since or ''} {until or ''}")
        reader = RawReader(settings.kafka, names)
        try:
            spans = [reader.cut(span) for span in asked] if begin is None else reader.between(begin, end)
            count = write_all(settings.kafka, names, reader.writes(spans, tenant, generation))
        finally:
            reader.close()
        return {"generation": generation, "records": count}

    done = run_replay(work)
    emit(done, as_json, [f"{done['records']} raw records replayed as generation {done['generation']}"])


@replay.command()
@click.option("--reason", required=True, help="Such as model_unavailable.")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="Messages at most.")
@as_json_option
def attachments(reason: str, tenant: str | None, limit: int, as_json: bool) -> None:
    """Tries failed attachments again: from the stored file where there is one, else from the download on."""
    settings = command_settings()
    names = Names(settings.namespace)
    encoding = Encoding(names, settings.kafka.partitions)

    async def work() -> dict[str, Any]:
        async with database(settings) as connection:
            rows = await failed_messages(connection, reason, tenant, limit)
            if not rows:
                return {"generation": None, "messages": 0, "attachments": 0}
            generation = await next_generation(connection, settings, "replay attachments", reason)
            writes: list[Write] = []
            redone = 0
            for row in rows:
                more, count = await writes_for(connection, row, reason, generation, encoding)
                writes += more
                redone += count
            write_all(settings.kafka, names, writes)
        return {"generation": generation, "messages": len(rows), "attachments": redone}

    done = run_replay(work)
    emit(done, as_json, [f"{done['attachments']} attachments of {done['messages']} messages are tried again"])
