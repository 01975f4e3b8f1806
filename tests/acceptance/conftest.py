"""One pipeline for all acceptance tests; each uses tenants of its own."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from schemas.settings import Settings
from storage.postgres.pool import connect
from streams.local.samples import MEDIA_DIR, serving
from tests.integration.databases import PATIENT
from tests.pipeline import Pipeline


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Moves the tests that judge the whole run behind all others, whatever their files are called."""

    def place(item: pytest.Item) -> int:
        marker = item.get_closest_marker("last")
        return marker.args[0] if marker else 0

    items.sort(key=place)


@pytest.fixture(scope="session")
def pipeline(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    running = Pipeline(stack, f"a{secrets.token_hex(3)}", tmp_path_factory.mktemp("pipeline"))
    try:
        running.start_all()
        yield running
    finally:
        running.stop_all()


@pytest.fixture(scope="session")
def media_files() -> dict[str, Path]:
    """The served files by name. A test may add files."""
    return {path.name: path for path in MEDIA_DIR.iterdir()}


@pytest.fixture(scope="session")
def media(pipeline: Pipeline, media_files: dict[str, Path]) -> Iterator[str]:
    """The address at which the files are served."""
    with serving(media_files, pipeline.ports["media"]) as address:
        yield address


@pytest.fixture
async def connection(pipeline: Pipeline) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    opened = await connect(pipeline.settings.postgres, pipeline.names, "test", PATIENT)
    try:
        yield opened
    finally:
        await opened.close()
