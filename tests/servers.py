"""Kafka, Postgres and an object store for tests, in a folder of their own that is removed at the end."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.settings import Settings
from streams.local.home import home_at
from streams.local.lifecycle import down, up


@contextmanager
def temporary_stack() -> Iterator[tuple[Settings, Path]]:
    """Starts the servers on free ports; yields their settings and the environment file that names them."""
    folder = Path(tempfile.mkdtemp(prefix="sensorium-test-"))
    folder.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    home = home_at(folder)
    try:
        running = up(home, {}, say=print, only_servers=True, ports_anywhere=True, owner=os.getpid())
        yield running.settings, home.environment_file
    finally:
        down(home, say=print)
        shutil.rmtree(folder)
