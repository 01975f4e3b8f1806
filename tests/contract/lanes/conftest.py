from collections.abc import Iterator

import pytest
from lane_world import World, let_go

from schemas.settings import Settings
from schemas.topics import Names
from streams.lanes import app as lane_app_module
from tests.topics import make_topics


@pytest.fixture(scope="session", autouse=True)
def clients(stack: Settings) -> Iterator[None]:
    """Those that all tests share end before the broker does."""
    yield
    let_go()


@pytest.fixture
def world(stack: Settings, namespace: str) -> World:
    """Source, changelog and output topics of one test's own."""
    made = World(stack.kafka, namespace)
    made.make("in", "log", "out", "receipts")
    return made


@pytest.fixture
def pipeline_topics(stack: Settings, namespace: str) -> Names:
    """The product's own topics under a namespace of one test's own."""
    names = Names(namespace)
    make_topics(stack.kafka, names)
    return names


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have ended the process; in its stead it lands here. Nothing else of an app ends the tests' process either."""
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
