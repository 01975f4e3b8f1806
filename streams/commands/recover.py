"""`sensorium recover kafka`: continues after a loss of Kafka but not of PostgreSQL.

See docs/operating.md.
"""

from collections.abc import AsyncIterator
from typing import Any

import click
from confluent_kafka import KafkaException

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.environment import (
    command_settings,
    counts_fit,
    database,
    kafka_trouble,
    run_command,
)
from streams.commands.output import as_json_option, emit, note
from streams.commands.waiting import counted
from streams.repair.recovery import Lost, Recovery
from streams.repair.writing import Item, committed_portions

BATCH = 2_000
_yes = click.option(
    "--yes", is_flag=True, help="Do it. Without it the command only shows what it would do."
)


@click.group()
def recover() -> None:
    """Makes Kafka and PostgreSQL consistent again."""


@recover.command()
@_yes
@as_json_option
def kafka(yes: bool, as_json: bool) -> None:
    """Restores the topics after Kafka was lost and PostgreSQL was not. Run `topics apply` first.

    Writes every row to the new enriched-messages, opens unfinished messages again, and
    lets the sink begin in the new topics. What only Kafka had is lost: raw records that
    were not read yet, and the history of versions.
    """
    settings = command_settings()
    counts_fit(settings)
    document = run_command(lambda: _kafka(settings, yes))
    emit(document, as_json, _kafka_lines(document))


async def _kafka(settings: Settings, yes: bool) -> dict[str, Any]:
    try:
        async with database(settings) as connection:
            recovery = Recovery(settings, connection)
            lost = await recovery.lost()
            if not lost.topics:
                raise click.ClickException(
                    "Kafka still has the topics of PostgreSQL's positions: there is "
                    "nothing to recover"
                )
            document = _kafka_document(lost)
            if not yes:
                return document
            tenancy = Tenancy(connection, Vault(settings.secrets.key))
            generation = await tenancy.next_generation("recover kafka", " ".join(lost.topics))
            document |= {"dry_run": False, "generation": generation}
            document["messages"] = await _write(settings, recovery.published(), "rows written")
            document["reopened"] = await _write(
                settings, recovery.reopened(generation), "unfinished messages opened again"
            )
            await recovery.begin_again(lost)
            return document
    except KafkaException as error:
        raise click.ClickException(
            f"{kafka_trouble(settings, error)} If a topic is missing: sensorium topics "
            "apply. Then run the same command again"
        ) from None


def _kafka_document(lost: Lost) -> dict[str, Any]:
    return {
        "dry_run": True,
        "generation": None,
        "topics": list(lost.topics),
        "messages": lost.messages,
        "reopened": lost.unfinished,
    }


async def _write(settings: Settings, items: AsyncIterator[Item[int]], what: str) -> int:
    """Writes in transactions of bounded size. Returns the number of written items."""
    names, written = Names(settings.namespace), 0
    waiting: list[Item[int]] = []

    def commit() -> None:
        nonlocal written
        for portion in committed_portions(settings.kafka, names, waiting):
            written = portion.mark
        waiting.clear()
        note(f"{written} {what}")

    async for item in items:
        waiting.append(item)
        if len(waiting) == BATCH:
            commit()
    if waiting:
        commit()
    return written


def _kafka_lines(document: dict[str, Any]) -> list[str]:
    topics = ", ".join(document["topics"])
    rows, opened = (
        counted(document["messages"], "row"),
        counted(document["reopened"], "unfinished message"),
    )
    if document["dry_run"]:
        return [
            f"PostgreSQL has positions that these topics do not have: {topics}",
            f"would be written to enriched-messages: {rows}; opened again: {opened}",
            "nothing was changed; to recover, the same command with --yes",
        ]
    return [
        f"{rows} written to enriched-messages, {opened} opened again",
        f"the sink starts again from the beginning of {topics}",
        "lost with Kafka: raw records that were accepted and not read yet; providers "
        "do not send them again by themselves",
    ]
