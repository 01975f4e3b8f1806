"""The role `sink`: writes enriched messages, receipts and quarantined records to Postgres."""

import asyncio
import signal
from http.server import ThreadingHTTPServer
from typing import cast

from connectors.postgres.sink import Sink
from schemas.pipeline import Stage
from schemas.settings import Settings, WorkerSettings
from schemas.topics import Names
from storage.background import alongside
from storage.postgres.pool import create_pool
from storage.postgres.retention import Retention
from storage.postgres.stops import StageStops
from storage.postgres.word_index import WordIndex
from streams.lanes.breaker import Breaker
from streams.lanes.gate import Gate
from streams.roles.minute_writer import start_minutes
from streams.roles.operations import start_operations

POOL_SIZE = 4
"""The most connections of a sink.

One writes, one checks Postgres, one merges the word index, and the rest is for
take-overs of partitions.
"""


async def run(settings: Settings) -> None:
    """Runs until SIGTERM.

    Raises what ended the sink or one of its background tasks.
    """
    names = Names(settings.namespace)
    pool = await create_pool(settings.postgres, names, "sink", size=POOL_SIZE)
    stage = cast(Stage, "sink")  # it stops itself and is resumed as a stage is
    gate = Gate(stage, Breaker(settings.breaker), StageStops(settings.postgres, names))
    sink = Sink(settings, pool, gate)
    serve_operations(settings.worker, sink)
    start_minutes(settings, "sink")
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, sink.stop)
    in_quarantine = settings.kafka.quarantine_retention_days
    retention = Retention(settings.postgres, names, settings.retention, in_quarantine)
    await retention.make_weeks()
    try:
        async with alongside(watch=sink.watch, retention=retention.run, words=WordIndex(pool).run):
            await sink.run()
    finally:
        pool.terminate()


def serve_operations(worker: WorkerSettings, sink: Sink) -> ThreadingHTTPServer | None:
    """Serves readiness, status and metrics of the sink, as those of a stage."""
    return start_operations(
        worker.metrics_host,
        worker.metrics_port,
        lambda: sink.ready,
        refresh=sink.refresh_metrics,
        status=sink.status,
    )
