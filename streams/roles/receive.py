"""The role `receive`: accepts webhooks and writes them to raw-messages."""

import asyncio
import time
from contextlib import suppress
from functools import partial

from confluent_kafka import KafkaException

from connectors.providers.catalogue import DIRECT, check_signature, identify
from connectors.webhooks.delivery_log import DeliveryLog
from connectors.webhooks.ports import ProviderFunctions
from connectors.webhooks.receiver import Receiver
from connectors.webhooks.server import ReceiverServer
from connectors.webhooks.siblings import Siblings
from schemas.settings import Settings
from schemas.topics import Names
from storage.background import alongside
from storage.kafka.delivery import AcknowledgedProducer
from storage.kafka.lag import GroupBehind
from storage.postgres.directory import Directory
from storage.postgres.pool import create_pool
from storage.postgres.vault import Vault
from streams.roles.collector import collect_rarely
from streams.roles.http import connections_allowed, listening_socket, run_until_signal
from streams.roles.minute_writer import start_minutes
from streams.roles.port_claims import installation_of

LOOK_SECONDS = 0.25
START_SECONDS = 3.0
"""The longest wait for tenants and Kafka before listening.

Another receiver may share the port, and listening earlier would take requests from it
only to answer 503. After this time 503 is the right answer.
"""


async def run(settings: Settings, siblings: Siblings | None = None) -> None:
    """Runs until SIGTERM, and answers the requests in flight before it returns.

    `siblings` are other processes at the same port, for which it answers probes too.
    Raises what ended the producer's background work, because without it no request can
    be answered.
    """
    names, receiver = Names(settings.namespace), settings.receiver
    topic = names.topic("raw-messages")
    directory = Directory(settings.postgres, names, Vault(settings.secrets.key))
    producer = AcknowledgedProducer(settings.kafka, topic, ack_seconds=receiver.ack_seconds)
    functions = ProviderFunctions(identify, DIRECT.accept, check_signature)
    app = Receiver(receiver, topic, producer, directory, functions, siblings)
    pool = await create_pool(settings.postgres, names, "deliveries", size=1)
    deliveries = DeliveryLog(pool, app.deliveries)
    await directory.start()
    start_minutes(settings, "receive")
    try:
        async with alongside(
            producer=producer.run,
            deliveries=deliveries.run,
            bulk=partial(_watch_bulk, app, settings, names),
            siblings=app.answer_siblings,
        ):
            await _until_ready(app)
            server = ReceiverServer(
                app,
                head_seconds=receiver.header_seconds,
                max_connections=connections_allowed(),
                drain_seconds=receiver.drain_seconds,
            )
            installation = installation_of(settings.namespace, settings.secrets.key)
            listening = listening_socket(receiver.host, receiver.port, installation)
            # A request allocates some 20 objects, without cycles.
            collect_rarely(20_000, 20, 100)
            await run_until_signal(server, listening, app.drain)
    finally:
        await producer.drain(receiver.ack_seconds)
        await deliveries.finish()
        pool.terminate()
        await directory.stop()


async def _watch_bulk(app: Receiver, settings: Settings, names: Names) -> None:
    """Measures how far behind dedupe is.

    It does so only while enough deliveries arrive that some may have to be slowed down.
    """
    if not settings.receiver.bulk_behind_seconds:
        await asyncio.Event().wait()
    behind = GroupBehind(settings.kafka, names.group("dedupe"), names.topic("raw-messages"))
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if app.bulk.is_worth_a_look(time.monotonic()):
            try:
                seconds = await asyncio.to_thread(behind.seconds)
            except (KafkaException, TimeoutError):
                # The producer's check reports that the brokers are unavailable.
                continue
            app.bulk.look(seconds, time.monotonic())


async def _until_ready(app: Receiver) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while not app.ready:
                await asyncio.sleep(0.02)
