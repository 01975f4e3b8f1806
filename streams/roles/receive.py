"""The role `receive`."""

import asyncio
from contextlib import suppress
from functools import partial

from connectors.providers.catalogue import identify
from connectors.providers.direct import validate
from connectors.webhooks.receiver import Receiver, Understanding
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.delivery import AcknowledgedProducer
from storage.postgres.directory import Directory
from storage.postgres.vault import Vault
from streams.roles.http import connections_allowed, serve_until_told
from streams.roles.protocol import BoundedProtocol

CHECK_SECONDS = 2.0
START_SECONDS = 3.0
"""How long the door stays shut until tenants and Kafka are known. Another receiver may stand at the same port: who opens before that
takes requests from it only to answer 503. Longer is no use: then 503 is the answer."""


async def run(settings: Settings) -> None:
    """Until SIGTERM; then what is under way is answered before it returns."""
    names, wanted = Names(settings.namespace), settings.receiver
    directory = Directory(settings.postgres, names, Vault(settings.secrets.key))
    producer = AcknowledgedProducer(settings.kafka, ack_seconds=wanted.ack_seconds)
    app = Receiver(
        wanted, names.topic("raw-messages"), producer, directory, Understanding(identify, validate)
    )
    await directory.start()
    checking = asyncio.create_task(_check(producer))
    try:
        await _until_ready(app)
        protocol = partial(
            BoundedProtocol,
            head_seconds=wanted.header_seconds,
            max_connections=connections_allowed(),
        )
        await serve_until_told(
            app,
            wanted.host,
            wanted.port,
            draining=app.drain,
            drain_seconds=wanted.drain_seconds,
            http=protocol,
        )
    finally:
        checking.cancel()
        await producer.drain(wanted.ack_seconds)
        await directory.stop()


async def _until_ready(app: Receiver) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while not app.ready:
                await asyncio.sleep(0.02)


async def _check(producer: AcknowledgedProducer) -> None:
    """Readiness must know that Kafka is away before a request finds out."""
    while True:
        await producer.check()
        await asyncio.sleep(CHECK_SECONDS)
