"""`sensorium tail`: enriched messages as they appear."""

from collections.abc import Iterator

import click
import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from schemas.codec import Undecodable, decode
from schemas.records import EnrichedMessage
from schemas.settings import Settings
from schemas.topics import Names
from schemas.versions import UnknownVersion
from storage.kafka.client import QUIET, reader_config
from streams.commands.environment import KAFKA_SECONDS, command_settings, kafka_trouble
from streams.commands.known import require_tenant
from streams.commands.output import json_text, note


@click.command()
@click.option("--tenant", help="Only this tenant's.")
@click.option(
    "--from-beginning", is_flag=True, help="From the oldest record on, instead of the next one."
)
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
def tail(tenant: str | None, from_beginning: bool, count: int | None, as_json: bool) -> None:
    """Shows enriched messages as a read_committed reader sees them. Ends with Ctrl-C."""
    settings = command_settings()
    require_tenant(settings, tenant)
    shown = 0
    try:
        for message in _messages(settings, from_beginning):
            shown += _show(message, tenant, as_json)
            if shown == count:
                return
    except KafkaException as error:
        raise click.ClickException(kafka_trouble(settings, error)) from None
    except KeyboardInterrupt:
        pass


def _messages(settings: Settings, from_beginning: bool) -> Iterator[Message]:
    """From where the partitions end now. No group is joined: what comes from here on is seen at once, and nothing is left behind."""
    topic = Names(settings.namespace).topic("enriched-messages")
    consumer = Consumer(reader_config(settings.kafka, "sensorium-tail") | QUIET)
    try:
        partitions = consumer.list_topics(topic, timeout=KAFKA_SECONDS).topics[topic].partitions
        if not partitions:
            raise click.ClickException(f"there is no topic {topic}: sensorium topics apply")
        places = [TopicPartition(topic, partition) for partition in partitions]
        for place in places:
            end = consumer.get_watermark_offsets(place, timeout=KAFKA_SECONDS)[1]
            place.offset = OFFSET_BEGINNING if from_beginning else end
        consumer.assign(places)
        note(f"reading {topic}, {len(places)} partitions; Ctrl-C ends")
        while True:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            yield message
    finally:
        consumer.close()


def _show(message: Message, tenant: str | None, as_json: bool) -> int:
    try:
        enriched = decode(EnrichedMessage, message.value())
    except (Undecodable, UnknownVersion) as error:
        note(f"[{message.partition()}]@{message.offset()}: {error}")
        return 0
    if tenant is not None and enriched.tenant_id != tenant:
        return 0
    if as_json:
        click.echo(json_text(msgspec.to_builtins(enriched)))
    else:
        click.echo(
            f"{enriched.received_at:%H:%M:%S} {enriched.message_key} v{enriched.version} {enriched.status} {enriched.kind}: {enriched.content or ''}"
        )
    return 1
