"""`sensorium topics apply`."""

import click

from schemas.topics import Names
from storage.kafka.topics import TopicsWrong, apply_topics
from streams.commands.environment import command_settings
from streams.commands.output import emit


@click.group()
def topics() -> None:
    """The topics on the cluster."""


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def apply(as_json: bool) -> None:
    """Creates what is missing and sets the configuration of what is there."""
    settings = command_settings()
    try:
        applied = apply_topics(settings.kafka, Names(settings.namespace))
    except TopicsWrong as error:
        raise click.ClickException(str(error)) from None
    document = {"topics": [{"topic": one.topic, "change": one.change} for one in applied]}
    emit(document, as_json, [f"{one.topic}: {one.change}" for one in applied])
