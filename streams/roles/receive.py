"""The role `receive`."""

import asyncio
import resource
from contextlib import suppress
from functools import partial

from connectors.providers.catalogue import DIRECT, identify
from connectors.webhooks.protocol import BoundedProtocol
from connectors.webhooks.receiver import Receiver, Understanding
from schemas.settings import Settings
from schemas.topics import Names
from storage.background import alongside
from storage.kafka.delivery import AcknowledgedProducer
from storage.postgres.directory import Directory
from storage.postgres.vault import Vault
from streams.roles.http import serve_until_told
from streams.roles.port_claims import installation_of

MAX_OPEN_FILES = 16_384
RESERVED_FILES = 128
"""For Kafka, Postgres, and connections that are told to come again."""
START_SECONDS = 3.0
"""How long the door stays shut until tenants and Kafka are known. Another receiver may stand at the same port: who opens before that
takes requests from it only to answer 503. Longer is no use: then 503 is the answer."""


async def run(settings: Settings) -> None:
    """Runs until SIGTERM and answers what is in flight before it returns.

    Raises what ended the producer's background work: without it no request could be answered.
    """
    names, wanted = Names(settings.namespace), settings.receiver
    topic = names.topic("raw-messages")
    directory = Directory(settings.postgres, names, Vault(settings.secrets.key))
    producer = AcknowledgedProducer(settings.kafka, topic, ack_seconds=wanted.ack_seconds)
    understanding = Understanding(identify, DIRECT.accept)
    app = Receiver(wanted, topic, producer, directory, understanding)
    await directory.start()
    try:
        async with alongside(producer=producer.run):
            await _until_ready(app)
            protocol = partial(
                BoundedProtocol,
                head_seconds=wanted.header_seconds,
                max_connections=_connections_allowed(),
            )
            await serve_until_told(
                app,
                wanted.host,
                wanted.port,
                installation=installation_of(settings.namespace, settings.secrets.key),
                draining=app.drain,
                drain_seconds=wanted.drain_seconds,
                http=protocol,
            )
    finally:
        await producer.drain(wanted.ack_seconds)
        await directory.stop()


def _connections_allowed() -> int:
    """What the process's limit of open files leaves, after it was raised as far as it may be. At that limit itself nobody could be answered,
    and neither Kafka nor Postgres be reached again."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(1, most - RESERVED_FILES)


async def _until_ready(app: Receiver) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while not app.ready:
                await asyncio.sleep(0.02)
