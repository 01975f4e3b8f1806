import pytest

from schemas.codec import RECORD_TYPES
from schemas.headers import Routing, generation_of, header, is_traceparent, new_traceparent
from schemas.keys import TenantId
from schemas.pipeline import TOPIC_NAMES
from schemas.settings import Kafka
from schemas.topics import (
    DAY_MS,
    HORIZON_MS,
    MAX_RECORD_BYTES,
    TOPICS,
    Names,
    retention_ms,
    topic_config,
)

PLAIN, BESIDE = Names(), Names("blue-2")


@pytest.mark.parametrize(
    ("plain", "beside", "expected"),
    [
        (
            PLAIN.topic("raw-messages"),
            BESIDE.topic("raw-messages"),
            ("raw-messages", "blue-2-raw-messages"),
        ),
        (
            PLAIN.group("store_media"),
            BESIDE.group("store_media"),
            ("sensorium-store-media", "blue-2-sensorium-store-media"),
        ),
        (PLAIN.postgres_schema, BESIDE.postgres_schema, ("sensorium", "blue_2")),
        (PLAIN.object_prefix, BESIDE.object_prefix, ("", "blue-2/")),
    ],
)
def test_a_namespace_is_put_once_before_every_name(
    plain: str, beside: str, expected: tuple[str, str]
) -> None:
    assert (plain, beside) == expected


def test_a_further_set_has_topics_and_groups_of_its_own_and_the_rows_and_files_of_its_pipeline() -> (
    None
):
    for further, names in ((Names("sensorium.2"), PLAIN), (Names("blue-2.b"), BESIDE)):
        assert further.postgres_schema == names.postgres_schema
        assert further.object_prefix == names.object_prefix
        assert set(further.topics).isdisjoint(names.topics)
        assert further.group("dedupe") != names.group("dedupe")
        assert not further.group("dedupe").startswith(names.prefix or "sensorium-")


@pytest.mark.parametrize("names", [PLAIN, BESIDE, Names("sensorium.2")])
def test_a_topic_is_known_again_without_its_namespace(names: Names) -> None:
    assert [names.logical(names.topic(name)) for name in TOPIC_NAMES] == list(TOPIC_NAMES)


def test_every_topic_is_described_once_and_holds_a_known_record() -> None:
    assert tuple(TOPICS) == TOPIC_NAMES
    assert {topic.record for topic in TOPICS.values()} == set(RECORD_TYPES)


def test_dedupe_remembers_longer_than_raw_records_live() -> None:
    assert TOPICS["raw-messages"].retention_ms + DAY_MS <= HORIZON_MS


def test_only_the_enriched_topic_is_compacted_and_not_before_the_horizon() -> None:
    configs = {name: topic_config(topic, Kafka()) for name, topic in TOPICS.items()}
    assert [name for name, config in configs.items() if config["cleanup.policy"] == "compact"] == [
        "enriched-messages"
    ]
    assert configs["enriched-messages"] == {
        "cleanup.policy": "compact",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "min.insync.replicas": "2",
        "min.compaction.lag.ms": str(8 * DAY_MS),
        "delete.retention.ms": str(30 * DAY_MS),
    }
    assert configs["quarantine"]["retention.ms"] == str(30 * DAY_MS)


def test_two_retentions_are_settings_and_the_others_are_not() -> None:
    settings = Kafka(raw_retention_days=1.5, quarantine_retention_days=90)
    days = {name: retention_ms(topic, settings) / DAY_MS for name, topic in TOPICS.items()}
    assert (days["raw-messages"], days["quarantine"], days["enrichments"]) == (1.5, 90, 7)
    assert topic_config(TOPICS["raw-messages"], settings)["retention.ms"] == str(36 * 3_600_000)


def test_routing_is_in_the_headers_of_every_record() -> None:
    trace = new_traceparent()
    headers = Routing(
        tenant_id=TenantId("acme"), provider="ycloud", traceparent=trace, generation=3
    ).to_headers()
    assert headers == [
        ("tenant", b"acme"),
        ("provider", b"ycloud"),
        ("traceparent", trace.encode()),
        ("generation", b"3"),
    ]
    assert generation_of(headers) == 3
    assert header(headers, "provider") == b"ycloud"
    assert is_traceparent(trace)


@pytest.mark.parametrize("value", [None, b"", b"-1", b"1.5", b"\xff", b"9" * 16, "²".encode()])
def test_a_generation_that_is_not_a_number_is_live_traffic(value: bytes | None) -> None:
    assert generation_of([("generation", value)]) == 0


def test_a_record_without_headers_is_live_traffic() -> None:
    assert (generation_of(None), generation_of([])) == (0, 0)
    assert header(None, "tenant") is None
