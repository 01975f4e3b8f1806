import pytest

from schemas.settings import Settings
from streams.repair.topic_sets import sets_among

THERE = {
    "enriched-messages": 12,
    "sensorium.2-enriched-messages": 24,
    "shop-enriched-messages": 4,
    "shop.2-enriched-messages": 8,
    "shop-eu-enriched-messages": 3,
    "shop.2-raw-messages": 8,
    "their-unenriched-messages": 1,
    "shop.2.enriched-messages": 1,
}


@pytest.mark.parametrize(
    ("namespace", "others"),
    [
        ("", [("sensorium.2", 24)]),
        ("sensorium.2", [("sensorium", 12)]),
        ("shop", [("shop.2", 8)]),
        ("shop.3", [("shop", 4), ("shop.2", 8)]),
        ("shop-eu", []),
    ],
)
def test_the_sets_of_a_pipeline_are_those_whose_enriched_topic_is_there(
    namespace: str, others: list[tuple[str, int]]
) -> None:
    own, *found = sets_among(Settings(namespace=namespace), THERE)
    assert (own.names.namespace, own.kafka.partitions) == (namespace, Settings().kafka.partitions)
    assert [(one.title, one.kafka.partitions) for one in found] == others
