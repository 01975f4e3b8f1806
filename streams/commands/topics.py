"""`sensorium topics`: creates and configures the topics, and moves to another set of them."""

import click
from confluent_kafka import KafkaException

from schemas.settings import Settings
from schemas.topics import Names
from schemas.versions import UnknownVersion
from storage.kafka.counts import WrongCounts
from storage.kafka.topics import TopicsWrong, apply_topics
from storage.postgres.sql import queries
from streams.commands.environment import (
    command_settings,
    counts_fit,
    database,
    kafka_answers,
    kafka_trouble,
    run_command,
)
from streams.commands.output import as_json_option, emit, note
from streams.commands.waiting import counted
from streams.repair.take_over import NotYet, TakeOver


@click.group()
def topics() -> None:
    """Manages the topics on the cluster."""


@topics.command()
@as_json_option
def apply(as_json: bool) -> None:
    """Creates missing topics and sets the configuration of existing ones."""
    settings = command_settings()
    kafka_answers(settings)
    try:
        applied = apply_topics(settings.kafka, Names(settings.namespace))
    except TopicsWrong as error:
        raise click.ClickException(str(error)) from None
    except KafkaException as error:
        raise click.ClickException(kafka_trouble(settings, error)) from None
    document = {"topics": [{"topic": one.topic, "change": one.change} for one in applied]}
    emit(document, as_json, [f"{one.topic}: {one.change}" for one in applied])


@topics.command("take-over")
@click.option(
    "--from",
    "before",
    required=True,
    help="SENSORIUM_NAMESPACE of the set of topics before; '' or sensorium: the empty one.",
)
@click.option(
    "--nothing-claimed",
    is_flag=True,
    help="Nothing is to be copied: the set before never forwarded a message, or its claims are "
    "lost. Whatever it forwarded comes out again if a provider delivers it again.",
)
@as_json_option
def take_over(before: str, nothing_claimed: bool, as_json: bool) -> None:
    """Copies the claims of the earlier set of topics to this one, so that its dedupe can begin.

    A further set of topics is how the number of partitions is changed
    (docs/operating.md). End all receivers and dedupe of the earlier set; the other roles
    of both sets may run. The claims of the last 8 days are copied, so that a message
    that is delivered again is recognised as a duplicate. The command refuses if it
    cannot see the claims of the earlier set.
    """
    settings = command_settings()
    counts_fit(settings)
    if repairs := run_command(lambda: _running_repairs(settings)):
        raise click.ClickException(
            f"repairs are running ({', '.join(repairs)}): wait for their end, or run "
            "sensorium repairs cancel"
        )
    before = "" if before == Names().postgres_schema else before
    try:
        taking = TakeOver(settings, before, nothing_claimed=nothing_claimed)
        taking.ready()
        claims = 0
        for taken in taking.take():
            claims += taken.claims
            note(f"partition {taken.partition}: {counted(taken.claims, 'claim')}")
    except (NotYet, UnknownVersion, WrongCounts) as error:
        raise click.ClickException(str(error)) from None
    except KafkaException as error:
        raise click.ClickException(
            f"{kafka_trouble(settings, error)} Dedupe of this set must not run meanwhile. "
            "Then run the same command again"
        ) from None
    document = {"from": before, "partitions": settings.kafka.partitions, "claims": claims}
    emit(document, as_json, [f"{counted(claims, 'claim')} taken over: start dedupe of this set"])


async def _running_repairs(settings: Settings) -> list[str]:
    async with database(settings) as connection:
        rows = await connection.fetch(queries("repairs")["all_under_way"])
        return [row["repair_id"] for row in rows]
