from collections.abc import Iterator

import pytest
from lane_world import World, let_go

from schemas.settings import Settings
from schemas.topics import Names
from streams.lanes import app as lane_app_module
from tests.topics import make_topics


@pytest.fixture(scope="session", autouse=True)
def clients(stack: Settings) -> Iterator[None]:
    """The clients that all tests share. They end before the broker does."""
    yield
    let_go()


@pytest.fixture
def world(stack: Settings, namespace: str) -> World:
    """Source, changelog and output topics for one test."""
    made = World(stack.kafka, namespace)
    made.make("in", "log", "out", "receipts")
    return made


@pytest.fixture
def pipeline_topics(stack: Settings, namespace: str) -> Names:
    """The product's topics in a namespace for one test."""
    names = Names(namespace)
    make_topics(stack.kafka, names)
    return names


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects what would have ended the process.

    Nothing of an app may end the process of the tests.
    """
    found: list[str] = []
    monkeypatch.setattr(
        lane_app_module,
        "die",
        lambda why: found.append(
            f"{type(why).__name__}: {why}" if isinstance(why, BaseException) else why
        ),
    )
    monkeypatch.setattr(lane_app_module, "EXIT_WATCHDOG_SECONDS", 3_600.0)
    return found
