"""The role `receive`."""

import asyncio
from functools import partial

from connectors.providers.catalogue import identify
from connectors.providers.direct import validate
from connectors.webhooks.protocol import BoundedProtocol
from connectors.webhooks.receiver import Receiver, Understanding
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.delivery import AcknowledgedProducer
from storage.postgres.directory import Directory
from storage.postgres.vault import Vault
from streams.roles.http import serve_until_told

CHECK_SECONDS = 2.0


async def run(settings: Settings) -> None:
    """Until SIGTERM; then in-flight requests are answered before it returns."""
    names, wanted = Names(settings.namespace), settings.receiver
    directory = Directory(settings.postgres, names, Vault(settings.secrets.key))
    producer = AcknowledgedProducer(settings.kafka, ack_seconds=wanted.ack_seconds)
    app = Receiver(wanted, names.topic("raw-messages"), producer, directory, Understanding(identify, validate))
    await directory.start()
    checking = asyncio.create_task(_check(producer))
    try:
        protocol = partial(BoundedProtocol, head_seconds=wanted.header_seconds)
        await serve_until_told(app, wanted.host, wanted.port, draining=app.drain, drain_seconds=wanted.drain_seconds, http=protocol)
    finally:
        checking.cancel()
        await producer.drain(wanted.ack_seconds)
        await directory.stop()


async def _check(producer: AcknowledgedProducer) -> None:
    """Readiness must know that Kafka is away before a request finds out."""
    while True:
        await producer.check()
        await asyncio.sleep(CHECK_SECONDS)
