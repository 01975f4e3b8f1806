"""`sensorium tail`: shows enriched messages as they appear."""

from collections.abc import Iterator
from typing import NamedTuple

import click
import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from schemas.codec import Undecodable, decode
from schemas.records import EnrichedMessage
from schemas.settings import Settings
from schemas.topics import Names
from schemas.versions import UnknownVersion
from storage.kafka.client import QUIET, reader_config
from streams.commands.environment import KAFKA_SECONDS, command_settings, kafka_trouble
from streams.commands.known import require_tenant
from streams.commands.output import emit, note


@click.command()
@click.option("--tenant", help="Only this tenant's.")
@click.option("--conversation", help="Only this conversation's.")
@click.option(
    "--from-beginning", is_flag=True, help="Begin with the oldest record instead of the next one."
)
@click.option(
    "--until-end",
    is_flag=True,
    help="Show the records from the oldest to the current last one, then end.",
)
@click.option("--count", type=click.IntRange(1), help="End after this many messages.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
def tail(
    tenant: str | None,
    conversation: str | None,
    from_beginning: bool,
    until_end: bool,
    count: int | None,
    as_json: bool,
) -> None:
    """Shows enriched messages as a read_committed reader sees them. Ends with Ctrl-C.

    A message is shown once per version. `degraded` is followed by the reasons of the
    attachments that failed.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    chosen = _TailFilter(tenant, conversation)
    shown = 0
    try:
        for message in _messages(settings, from_beginning or until_end, until_end):
            shown += _show(message, chosen, as_json)
            if shown == count:
                return
    except KafkaException as error:
        raise click.ClickException(kafka_trouble(settings, error)) from None
    except KeyboardInterrupt:
        pass


class _TailFilter(NamedTuple):
    """Selects the messages that are shown; None selects all."""

    tenant: str | None
    conversation: str | None

    def includes(self, message: EnrichedMessage) -> bool:
        return self.tenant in (None, message.tenant_id) and self.conversation in (
            None,
            message.conversation_id,
        )


def _messages(settings: Settings, from_beginning: bool, until_end: bool) -> Iterator[Message]:
    """Reads from the current ends of the partitions, or from their beginning.

    It joins no consumer group, so new records are seen at once and no group is left behind.

    With `until_end` it ends at the current last records. The broker's end-of-partition
    event is needed too, because the last offsets of a partition may be transaction
    markers, which no reader sees.
    """
    topic = Names(settings.namespace).topic("enriched-messages")
    config = reader_config(settings.kafka, "sensorium-tail") | {"enable.partition.eof": until_end}
    consumer = Consumer(config | QUIET)
    try:
        ends = _ends(consumer, topic)
        consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING if from_beginning else end)
                for partition, end in ends.items()
            ]
        )
        note(
            f"reading {topic}, {len(ends)} partitions; "
            f"{'to their end' if until_end else 'Ctrl-C ends'}"
        )
        unread = {partition for partition, end in ends.items() if end > 0} if until_end else {-1}
        while unread:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
                continue
            if error is not None:
                raise KafkaException(error)
            partition, offset = message.partition() or 0, message.offset() or 0
            if not until_end or offset < ends[partition]:
                yield message
            if offset >= ends[partition] - 1:
                unread.discard(partition)
    finally:
        consumer.close()


def _ends(consumer: Consumer, topic: str) -> dict[int, int]:
    """Returns, by partition, the offset of the next record.

    Ends the command if the topic does not exist.
    """
    partitions = consumer.list_topics(topic, timeout=KAFKA_SECONDS).topics[topic].partitions
    if not partitions:
        raise click.ClickException(f"there is no topic {topic}: sensorium topics apply")
    return {
        partition: consumer.get_watermark_offsets(
            TopicPartition(topic, partition), timeout=KAFKA_SECONDS
        )[1]
        for partition in partitions
    }


def _show(message: Message, chosen: _TailFilter, as_json: bool) -> int:
    value = message.value()
    if value is None:
        return 0  # the message of this key was deleted
    try:
        enriched = decode(EnrichedMessage, value)
    except (Undecodable, UnknownVersion) as error:
        note(f"[{message.partition()}]@{message.offset()}: {error}")
        return 0
    if not chosen.includes(enriched):
        return 0
    emit(msgspec.to_builtins(enriched), as_json, [_line(enriched)])
    return 1


def _line(message: EnrichedMessage) -> str:
    """Formats a message as one line, because a second line could be taken for another message."""
    content = " ↵ ".join((message.content or "").splitlines())
    return (
        f"{message.received_at:%H:%M:%S} {message.message_key} v{message.version} "
        f"{message.status}{_why(message)} {message.kind}: {content}"
    )


def _why(message: EnrichedMessage) -> str:
    """Returns the reason for `degraded`: each failed attachment with its reason."""
    failed = [
        f"{attachment.type} {attachment.reason or 'failed'}"
        for attachment in message.attachments
        if attachment.status == "failed"
    ]
    return f" ({', '.join(failed)})" if message.status == "degraded" and failed else ""
