"""Every quarantine record and every tombstone has the four headers of the contract."""

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.postgres import quarantine_writer
from connectors.postgres.writer import Placed
from schemas.arrival import Arrival
from schemas.codec import decode
from schemas.headers import Headers, header, is_traceparent
from schemas.keys import TenantId
from schemas.outcomes import Quarantine
from schemas.pipeline import ROLE_WRITES
from schemas.records import Quarantined, Source
from schemas.settings import Kafka, Settings
from schemas.topics import MAX_RECORD_BYTES, Names
from streams.apps.encoding import Encoding
from streams.repair import tombstones
from streams.repair.topic_sets import TopicSet
from tests.unit.records import KEY, TRACEPARENT

ROOT = Path(__file__).parents[2]
HEADERS: Headers = [
    ("tenant", b"acme"),
    ("provider", b"ycloud"),
    ("traceparent", TRACEPARENT.encode()),
    ("generation", b"3"),
]
REFUSED = Quarantine("record_unstorable", "CheckViolationError")
UNDECODABLE = Quarantine("record_undecodable", "record_unstorable: is only a part of the text")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The records that the sink and the repairs pass to a producer."""
    records: list[dict[str, Any]] = []

    def produce(topic: str, value: bytes | None, key: bytes, *_: Any, **given: Any) -> None:
        records.append({"topic": topic, "value": value, "key": key, "headers": given["headers"]})

    producer = SimpleNamespace(produce=produce, flush=lambda _: 0)
    for module in (quarantine_writer, tombstones):
        monkeypatch.setattr(module, "Producer", lambda _config: producer)
    return records


def placed(value: bytes = b"x", headers: object = HEADERS, topic: str = "enriched-messages") -> Any:
    source = Source(topic=topic, partition=2, offset=9)
    return Placed(source, None, KEY.encode(), value, lambda: headers)  # type: ignore[arg-type]


def test_a_stage_writes_quarantine_records_with_the_headers_of_the_record() -> None:
    arrival = Arrival("media", 2, 9, KEY.encode(), b"x", [*HEADERS, ("other", b"1")])
    write = Encoding(Names(), 4).quarantined(arrival, "store_media", UNDECODABLE)
    assert write.headers == HEADERS


async def test_the_sink_writes_quarantine_records_with_the_headers_of_the_record(
    written: list[dict[str, Any]],
) -> None:
    sink = quarantine_writer.QuarantineWriter(Kafka(), Names())
    await sink.quarantine([(placed(), REFUSED), (placed(), UNDECODABLE)])
    assert [one["headers"] for one in written] == [HEADERS, HEADERS]
    reasons = [decode(Quarantined, one["value"]).reason for one in written]
    assert reasons == ["record_unstorable", "record_undecodable"]


async def test_the_sink_keeps_a_record_that_is_too_large_by_its_place(
    written: list[dict[str, Any]],
) -> None:
    sink = quarantine_writer.QuarantineWriter(Kafka(), Names())
    await sink.quarantine([(placed(b"x" * (MAX_RECORD_BYTES - 100)), REFUSED)])
    record = decode(Quarantined, written[0]["value"])
    assert (record.value, record.offset, record.headers) == (None, 9, dict(HEADERS))


async def test_a_quarantined_record_without_usable_headers_gets_all_four(
    written: list[dict[str, Any]],
) -> None:
    sink = quarantine_writer.QuarantineWriter(Kafka(), Names())
    await sink.quarantine([(placed(headers=None), REFUSED)])
    assert [name for name, _ in written[0]["headers"]] == [name for name, _ in HEADERS]
    assert header(written[0]["headers"], "tenant") == b"acme"


async def test_a_refused_receipt_is_of_no_tenant(written: list[dict[str, Any]]) -> None:
    receipt = Placed(Source(topic="receipts", partition=0, offset=1), None, b"dedupe:0", b"x")  # type: ignore[arg-type]
    await quarantine_writer.QuarantineWriter(Kafka(), Names()).quarantine([(receipt, UNDECODABLE)])
    assert header(written[0]["headers"], "tenant") == b"unknown"


async def test_the_sink_writes_tombstones_with_the_headers_of_the_message(
    written: list[dict[str, Any]],
) -> None:
    await quarantine_writer.QuarantineWriter(Kafka(), Names()).write_tombstones([placed()])
    assert [(one["value"], one["headers"]) for one in written] == [(None, HEADERS)]


def test_an_erasure_writes_tombstones_with_the_four_headers(
    written: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    only = TopicSet(Names(), Kafka(partitions=4))
    monkeypatch.setattr(tombstones, "sets_of_topics", lambda *_: [only])
    settings = Settings()
    assert tombstones.Tombstones(settings).write(TenantId("acme"), [(KEY, "one~two")]) == 1
    ((tenant, provider, trace, generation),) = (one["headers"] for one in written)
    assert (tenant, provider, generation) == (
        ("tenant", b"acme"),
        ("provider", b"ycloud"),
        ("generation", b"0"),
    )
    assert is_traceparent(trace[1].decode())


async def test_the_sink_and_an_erasure_write_to_the_topics_that_they_declare(
    written: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = quarantine_writer.QuarantineWriter(Kafka(), Names())
    await sink.quarantine([(placed(), REFUSED)])
    await sink.write_tombstones([placed()])
    assert {one["topic"] for one in written} == set(ROLE_WRITES["sink"])
    written.clear()
    monkeypatch.setattr(tombstones, "sets_of_topics", lambda *_: [TopicSet(Names(), Kafka())])
    tombstones.Tombstones(Settings()).write(TenantId("acme"), [(KEY, "one~two")])
    assert {one["topic"] for one in written} == set(ROLE_WRITES["erase"])
    assert ROLE_WRITES["tenants remove"] == ROLE_WRITES["erase"]


def test_every_producer_call_of_the_product_passes_headers() -> None:
    """Only copies of a changelog have none, because it is not one of the topics."""
    without = {
        str(path.relative_to(ROOT))
        for package in ("schemas", "storage", "connectors", "streams")
        for path in (ROOT / package).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "produce"
        and "headers" not in {keyword.arg for keyword in call.keywords}
    }
    assert without <= {"streams/repair/take_over.py"}
