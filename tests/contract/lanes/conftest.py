import pytest
from lane_world import World

from schemas.settings import Settings


@pytest.fixture
def world(stack: Settings, namespace: str) -> World:
    """Source, changelog and output topics of one test's own."""
    made = World(stack.kafka, namespace)
    made.make("in", "log", "out")
    return made
