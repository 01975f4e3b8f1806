"""`sensorium topics apply`: creates and configures the topics."""

import click
from confluent_kafka import KafkaException

from schemas.topics import Names
from storage.kafka.topics import TopicsWrong, apply_topics
from streams.commands.environment import command_settings, kafka_answers, kafka_trouble
from streams.commands.output import as_json_option, emit


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
