"""`sensorium tail`: enriched messages as they appear."""

import json
import uuid

import click
import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from schemas.codec import Undecodable, decode
from schemas.records import EnrichedMessage
from schemas.topics import Names
from storage.kafka.client import reader_config
from streams.commands.environment import command_settings


@click.command()
@click.option("--tenant", help="Only this tenant's.")
@click.option("--from-beginning", is_flag=True, help="From the oldest record on, instead of the next one.")
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
def tail(tenant: str | None, from_beginning: bool, count: int | None, as_json: bool) -> None:
    """Shows enriched messages as a read_committed reader sees them. Ends with Ctrl-C."""
    settings = command_settings()
    names = Names(settings.namespace)
    start = "earliest" if from_beginning else "latest"
    consumer = Consumer(reader_config(settings.kafka, f"{names.prefix}sensorium-tail-{uuid.uuid4()}") | {"auto.offset.reset": start})
    consumer.subscribe([names.topic("enriched-messages")])
    shown = 0
    try:
        while count is None or shown < count:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise click.ClickException("the topic is not there: sensorium topics apply")
                raise click.ClickException(str(KafkaException(error)))
            shown += _show(message, tenant, as_json)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


def _show(message: Message, tenant: str | None, as_json: bool) -> int:
    try:
        enriched = decode(EnrichedMessage, message.value())
    except Undecodable as error:
        click.echo(f"[{message.partition()}]@{message.offset()}: {error}", err=True)
        return 0
    if tenant is not None and enriched.tenant_id != tenant:
        return 0
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(enriched), ensure_ascii=False, default=str))
    else:
        click.echo(
            f"{enriched.received_at:%H:%M:%S} {enriched.message_key} v{enriched.version} {enriched.status} {enriched.kind}: {enriched.content or ''}"
        )
    return 1
