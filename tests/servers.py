"""Kafka, Postgres and an object store for tests, in a folder of their own that is removed at the end."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.settings import Settings
from storage.objects.store import ObjectStore
from streams.local import kafka
from streams.local.home import home_at
from streams.local.lifecycle import down, up

_SHORT, _LONG = "broker.session.timeout.ms=2000", "broker.session.timeout.ms=60000"


@contextmanager
def patient_broker() -> Iterator[None]:
    """Keeps the only broker from being considered dead because its heartbeat is late.

    A busy machine delays heartbeats. No test kills this broker, so none waits for its
    session.
    """
    quick = kafka.PROPERTIES
    assert _SHORT in quick
    kafka.PROPERTIES = quick.replace(_SHORT, _LONG)
    try:
        yield
    finally:
        kafka.PROPERTIES = quick


@contextmanager
def temporary_stack() -> Iterator[tuple[Settings, Path]]:
    """Starts the servers on free ports; yields their settings and the environment file that names them."""
    folder = Path(tempfile.mkdtemp(prefix="sensorium-test-"))
    folder.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    home = home_at(folder)
    try:
        with patient_broker():
            running = up(
                home, {}, say=print, only_servers=True, ports_anywhere=True, owner=os.getpid()
            )
        asyncio.run(_make_bucket(running.settings))
        yield running.settings, home.environment_file
    finally:
        down(home, say=print)
        shutil.rmtree(folder)


async def _make_bucket(settings: Settings) -> None:
    """Creates the bucket before the first test: two that find none at the same time would each create it, and one would fail."""
    store = ObjectStore(settings.objects, threads=1)
    try:
        await store.ensure_bucket()
    finally:
        await store.close()
