"""Which wrong partition counts are a stage's trouble."""

from collections.abc import Iterable
from typing import Any

import pytest

from schemas.pipeline import Stage
from schemas.settings import Settings
from storage.kafka.counts import WrongCount
from streams.apps import assemble, dedupe


class Cluster:
    """Topics that got more partitions in place."""

    def __init__(self, *grown: str) -> None:
        self._grown = grown

    def wrong(self, topics: Iterable[str]) -> list[WrongCount]:
        return [WrongCount(topic, 13, 12) for topic in topics if topic in self._grown]


@pytest.mark.parametrize(
    ("stage", "grown", "is_held"),
    [
        ("assemble", "raw-messages", False),
        ("assemble", "audio", False),
        ("assemble", "enriched-messages", True),
        ("assemble", "sensorium-assemble-open-changelog", True),
        ("dedupe", "media", True),
        ("dedupe", "receipts", True),
        ("dedupe", "raw-messages", False),
        ("dedupe", "vision", False),
    ],
)
async def test_a_stage_is_held_by_the_topics_that_it_writes_and_by_no_other(
    stage: Stage, grown: str, is_held: bool
) -> None:
    create = {"assemble": assemble.create_app, "dedupe": dedupe.create_app}[stage]
    counts = create(Settings()).counts
    cluster: Any = Cluster(grown)
    counts._reader = cluster
    await counts.look()
    assert bool(counts.trouble) == is_held
