"""Connects the console's pages with the other roles.

The pages can also send a sample through the real receiver.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

import structlog
from confluent_kafka import KafkaException, Message

from connectors.console.pages.other_roles import (
    OtherRoles,
    SampleSent,
    ShownRecord,
    VersionsFound,
)
from connectors.models.unknown import unknown_models
from connectors.providers.catalogue import PROVIDERS
from connectors.providers.signature_check import CheckedStep, checked, pasted
from connectors.webhooks.urls import webhook_url
from schemas.keys import TenantId, conversation_partition
from schemas.outcomes import Unavailable
from schemas.pipeline import TOPIC_NAMES, TopicName
from schemas.settings import Settings
from schemas.tenants import Endpoint
from schemas.topics import Names
from storage.kafka.counts import CountReader, WrongCounts
from storage.kafka.one_record import TimeRange, record_at, records_of_key
from storage.kafka.read_threads import read_in_thread
from streams.commands.readable import readable
from streams.local.samples import SampleMessage, deliver
from streams.repair.erasing import Erasing

log = structlog.get_logger()
T = TypeVar("T")
TEXT = "This is a test of Sensorium."
BEFORE, AFTER = timedelta(seconds=5), timedelta(seconds=60)
"""The time before and after a message's last step in which its version is written.

It can be written later if assemble is behind.
"""
MOST_LOOKED = 50_000
"""At most this many records of a partition are searched for the versions of a message."""


def other_roles_of(settings: Settings) -> OtherRoles:
    """Builds the functions from the settings of this installation."""
    receiver, openai = settings.receiver, settings.openai

    def url_of(endpoint: Endpoint) -> str:
        return webhook_url(receiver, endpoint.provider, endpoint.token)

    def check(endpoint: Endpoint, headers: str, body: str) -> list[CheckedStep]:
        return checked(
            endpoint,
            pasted(headers, body),
            now=time.time(),
            age_seconds=receiver.signature_age_seconds,
        )

    def unknown(changes: Mapping[str, Any]) -> list[str]:
        return unknown_models(openai, changes)

    async def send_test(endpoint: Endpoint) -> SampleSent:
        sample = PROVIDERS[endpoint.provider].sample(SampleMessage(text=TEXT, what="test"))
        if sample is None:
            raise OSError(f"there is no sample of {endpoint.provider}")
        secret = endpoint.secrets[0] if endpoint.secrets else None
        status = await read_in_thread(deliver, sample, url_of(endpoint), secret)
        return SampleSent(status, sample.key(endpoint.tenant_id, endpoint.instance))

    return OtherRoles(
        providers=tuple(PROVIDERS),
        is_public=receiver.url.startswith("https://"),
        models={
            "vision_model": openai.vision_model,
            "transcription_model": openai.transcription_model,
        },
        url_of=url_of,
        check=check,
        unknown_models=unknown,
        read_record=partial(_read, _record, settings),
        readable=_readable,
        read_versions=partial(_read, _versions, settings),
        eraser=Erasing(settings),
        send_test=send_test,
    )


async def _read(reading: Callable[..., T], *arguments: object) -> T:
    """Calls `reading` in a thread and returns its result.

    Raises Unavailable if Kafka does not answer, or if its topics have other partition
    counts than the settings say.
    """
    try:
        return await read_in_thread(reading, *arguments)
    except WrongCounts as wrong:
        log.error("partition_counts_wrong", detail=str(wrong))
        raise Unavailable("kafka", detail=str(wrong)) from None
    except (KafkaException, TimeoutError) as error:
        raise Unavailable("kafka") from error


def _record(settings: Settings, topic: str, partition: int, offset: int) -> ShownRecord | None:
    names = Names(settings.namespace)
    if topic not in TOPIC_NAMES:
        return None
    message = record_at(
        settings.kafka, names.group("console"), names.topic(topic), partition, offset
    )
    return None if message is None else _shown(topic, message)


def _readable(topic: str, value: bytes | None) -> dict[str, Any]:
    return readable(topic, value) if topic in TOPIC_NAMES else {}


def _versions(
    settings: Settings, tenant: str, conversation: str, key: str, moments: Sequence[datetime]
) -> VersionsFound:
    """Finds the versions of a message near the given moments, in its conversation's partition.

    Raises WrongCounts if the topic has another number of partitions than the settings
    say, because the conversation would seem to be in another partition.
    """
    topic: TopicName = "enriched-messages"
    names = Names(settings.namespace)
    CountReader(settings.kafka).require([names.topic(topic)])
    partition = conversation_partition(TenantId(tenant), conversation, settings.kafka.partitions)
    place = (names.topic(topic), partition)
    found, is_whole = records_of_key(
        settings.kafka, names.group("console"), place, key.encode(), spans_of(moments), MOST_LOOKED
    )
    return VersionsFound(
        [
            (f"{topic}[{partition}]@{one.offset()}", _shown(topic, one))
            for one in found
            if one.value() is not None  # a tombstone: the message was erased
        ],
        is_whole,
    )


def spans_of(moments: Sequence[datetime]) -> list[TimeRange]:
    """The spans of time around the moments, in order. Overlapping ones are merged."""
    spans: list[TimeRange] = []
    for moment in sorted(moments):
        begin, until = (int(one.timestamp() * 1000) for one in (moment - BEFORE, moment + AFTER))
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], until)
        else:
            spans.append((begin, until))
    return spans


def _shown(topic: TopicName, found: Message) -> ShownRecord:
    headers = {
        name: (value or b"").decode(errors="replace")
        for name, value in cast("list[tuple[str, bytes | None]]", found.headers() or [])
    }
    key, value = found.key(), found.value()
    return ShownRecord(
        headers.get("tenant", ""),
        (key if isinstance(key, bytes) else b"").decode(errors="replace"),
        datetime.fromtimestamp(found.timestamp()[1] / 1000, UTC),
        len(value or b""),
        headers,
        readable(topic, value if isinstance(value, bytes) else None),
    )
