"""The reference: Faust as its users run it, tuned.

At-least-once, with a Table in memory and one agent.
"""

from pathlib import Path
from tempfile import gettempdir
from typing import Any

import faust

from schemas.settings import Kafka


def stock_app(name: str, kafka: Kafka) -> faust.App:
    """Builds the app with the settings that users change for throughput.

    These are the producer's linger and batch size, no leader topic, and no standby.
    """
    return faust.App(
        name,
        broker=f"kafka://{kafka.bootstrap_servers}",
        store="memory://",
        topic_partitions=kafka.partitions,
        topic_replication_factor=kafka.replication_factor,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        producer_linger=0.02,
        producer_max_batch_size=1_000_000,
        stream_recovery_delay=0.0,
        consumer_auto_offset_reset="earliest",
        datadir=f"{gettempdir()}/{name}",
    )


def bytes_topic(app: faust.App, name: str) -> Any:
    """A topic of bytes, without a serializer."""
    return app.topic(
        name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )


def work(app: faust.App) -> None:
    """Runs until SIGTERM."""
    faust.Worker(
        app,
        loglevel="info",
        quiet=True,
        redirect_stdouts=False,
        override_logging=False,
        workdir=str(Path.cwd()),
    ).execute_from_commandline()
