"""Gives the console's pages access to receiver, providers and models, and sends a test message
through the real receiver.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from confluent_kafka import KafkaException

from connectors.console.pages.other_roles import OtherRoles, SampleSent, ShownRecord
from connectors.models.unknown import unknown_models
from connectors.providers.catalogue import PROVIDERS
from connectors.providers.signature_check import CheckedStep, checked, pasted
from connectors.webhooks.urls import webhook_url
from schemas.outcomes import Unavailable
from schemas.pipeline import TOPIC_NAMES
from schemas.settings import Settings
from schemas.tenants import Endpoint
from schemas.topics import Names
from storage.kafka.one_record import record_at
from storage.kafka.read_threads import read_in_thread
from streams.commands.readable import readable
from streams.local.samples import SampleMessage, deliver

TEXT = "This is a test of Sensorium."


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

    async def read_record(topic: str, partition: int, offset: int) -> ShownRecord | None:
        try:
            return await read_in_thread(_record, settings, topic, partition, offset)
        except (KafkaException, TimeoutError) as error:
            raise Unavailable("Kafka") from error

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
        read_record=read_record,
        send_test=send_test,
    )


def _record(settings: Settings, topic: str, partition: int, offset: int) -> ShownRecord | None:
    names = Names(settings.namespace)
    if topic not in TOPIC_NAMES:
        return None
    found = record_at(settings.kafka, names.group("console"), names.topic(topic), partition, offset)
    if found is None:
        return None
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
