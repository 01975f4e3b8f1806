"""What several files of this folder need. A file may have a scene of its own."""

from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from schemas.settings import Settings
from schemas.topics import Names
from tests.browser.scene import Scene, staged
from tests.integration.commands import Commands
from tests.integration.people import Visitor, visiting


@pytest.fixture
def commands(stack: Settings, namespace: str) -> Iterator[Commands]:
    """A namespace with tables and topics."""
    made = Commands(msgspec.structs.replace(stack, namespace=namespace), {})
    made.make_tables()
    made.make_topics()
    yield made
    made.drop_tables()


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    """A console that is served."""
    async with staged(stack, Names(namespace)) as made:
        yield made


@pytest.fixture
async def visitor(scene: Scene) -> AsyncIterator[Visitor]:
    """An admin of every tenant."""
    async with visiting(scene, "ana") as made:
        yield made


@pytest.fixture
async def adam(scene: Scene) -> AsyncIterator[Visitor]:
    """An admin of acme only."""
    await scene.person("adam", "admin")
    async with visiting(scene, "adam") as made:
        yield made
