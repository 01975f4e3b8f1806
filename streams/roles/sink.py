"""The role `sink`."""

import asyncio
import signal

from connectors.postgres.sink import Sink
from schemas.settings import Settings
from schemas.topics import Names
from storage.background import alongside
from storage.postgres.pool import create_pool
from streams.roles.operations import start_operations


async def run(settings: Settings) -> None:
    """Runs until SIGTERM. Raises what ended the sink, or the task that watches its servers."""
    pool = await create_pool(settings.postgres, Names(settings.namespace), "sink", size=4)
    sink = Sink(settings, pool)
    start_operations(settings.worker.metrics_host, settings.worker.metrics_port, lambda: sink.ready)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, sink.stop)
    try:
        async with alongside(watch=sink.watch):
            await sink.run()
    finally:
        pool.terminate()
