import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from connectors.postgres.decoding import decode_batch
from connectors.postgres.held_partitions import HeldPartitions
from connectors.postgres.judging import Judging
from connectors.postgres.rows import (
    NOTIFY_BYTES,
    bare_quarantined,
    message_rows,
    notifications,
    quarantine_columns,
)
from connectors.postgres.writer import Placed
from schemas.codec import encode
from schemas.keys import TenantId, message_key
from schemas.outcomes import Quarantine
from schemas.receipts import Ledger, Line, Span
from schemas.records import Quarantined, Source, Step
from schemas.settings import BreakerSettings as Limits
from schemas.topics import Names
from streams.lanes.breaker import Breaker
from streams.lanes.gate import Gate
from tests.unit.newer import by_the_next_release
from tests.unit.records import NOW, attachment, message

VERSION_COLUMN = 10
TENANTS = ("acme", "acme-2", "acme1", "t1", "t10", "t-1", "t", "b")


def first_columns(columns: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*columns[:3], strict=True))


def test_every_statement_locks_the_same_rows_in_the_same_order() -> None:
    keys = [message_key(TenantId(name), "ycloud", f"w{n}") for name in TENANTS for n in (10, 1, 2)]
    messages = [
        message(
            tenant_id=key.partition(":")[0],
            message_key=key,
            provider_message_id=key.rpartition(":")[2],
            status="pending",
            version=1001,
        )
        for key in reversed(keys)
    ]
    rows = message_rows(messages)
    staged = [row[:2] for row in rows.staged]
    redone = list(zip(*rows.tables["mark_redoing"][:2], strict=True))
    assert staged == redone == sorted(staged)
    assert len(staged) == len(keys)


def test_a_row_keeps_the_steps_of_every_opening_and_of_its_newest_version() -> None:
    first, second = step("dedupe", 1), step("assemble", 2, outcome="complete: a\tb\nc")
    later = step("dedupe", 3)
    versions = [
        message(version=2, steps=(first, second)),
        message(version=1, steps=(first,)),
        message(version=201, steps=(later,)),
    ]
    (row,) = message_rows(versions).staged
    at = f"{NOW.timestamp():.6f}"
    assert json.loads(row[-1]) == {
        "0": f"dedupe\tt\t0\t1\t{at}\tforwarded\nassemble\tt\t0\t2\t{at}\tcomplete: a b c",
        "1": f"dedupe\tt\t0\t3\t{at}\tforwarded",
    }
    assert message_rows([message(steps=())]).staged[0][-1] is None


def step(stage: str, offset: int, outcome: str = "forwarded") -> Step:
    return Step(stage=stage, outcome=outcome, topic="t", partition=0, offset=offset, at=NOW)


@pytest.mark.parametrize("count", [0, 1, 180, 2_000])
def test_a_batch_of_many_conversations_wakes_them_by_name(count: int) -> None:
    touched = {("acme", f"34600000000~3460000{number:04}") for number in range(count)}
    payloads = notifications(touched)
    assert all(len(payload.encode()) <= NOTIFY_BYTES for payload in payloads)
    assert [tuple(pair) for payload in payloads for pair in json.loads(payload)] == sorted(touched)


@pytest.mark.parametrize(
    ("versions", "shown"),
    [
        ([(2, "complete"), (5001, "pending")], 2),
        ([(5001, "pending"), (2, "complete")], 2),
        ([(5001, "pending"), (201, "pending"), (203, "complete")], 203),
        ([(6001, "pending"), (5004, "degraded")], 5004),
        ([(5004, "complete"), (203, "complete")], 5004),
        ([(5001, "pending"), (201, "pending")], 5001),
        ([(5001, "pending"), (2, "complete"), (5003, "complete")], 5003),
        ([(2, "complete"), (201, "pending")], 201),
        ([(201, "pending"), (2, "complete")], 201),
    ],
)
def test_a_finished_version_is_not_lost_beside_one_that_a_repair_has_still_to_finish(
    versions: list[tuple[int, str]], shown: int
) -> None:
    messages = [message(version=version, status=status) for version, status in versions]
    rows = message_rows(messages)
    assert [row[VERSION_COLUMN] for row in rows.staged] == [shown]
    redone = [version for version, status in versions if version > 1_000 and status == "pending"]
    assert rows.tables.get("mark_redoing", [[], [], []])[2] == ([max(redone)] if redone else [])


def test_only_a_name_that_fits_into_no_notification_wakes_everybody() -> None:
    assert notifications({("acme", "x" * 8_000), ("acme", "1")}) == ["*"]


def quarantined(**fields: Any) -> Quarantined:
    return Quarantined(
        **{
            "tenant_id": "acme",
            "stage": "dedupe",
            "reason": "not_json",
            "detail": "",
            "topic": "raw-messages",
            "partition": 0,
            "offset": 7,
            "program_version": "1",
            "created_at": NOW,
            **fields,
        }
    )


def test_what_any_writer_may_put_into_quarantine_becomes_storable_text() -> None:
    odd = quarantined(
        tenant_id="ac\0me", headers={"a\0": b"x\\u0000", "b": b"\0"}, topic="raw\0", detail="\ud800"
    )
    columns = quarantine_columns([odd, bare_quarantined(odd, "DataError")], {})
    texts = [value for column in columns for value in column if isinstance(value, str)]
    assert not any("\0" in text or "\ud800" in text for text in texts)
    headers = [json.loads(text) for text in columns[11]]
    assert {"a\ufffd": "x\\u0000", "b": "\ufffd"} in headers


class Nobody:
    """Stops that no person resumes."""

    async def quiet(self, stage: Any) -> float:
        return 0.0

    async def tenants(self) -> int:
        return 2

    async def stopped(self, stage: Any, detail: str) -> object:
        return object()

    async def resumed(self, stage: Any, stop: object, detail: str) -> float | None:
        return None


REFUSED = Quarantine("record_unstorable", "CheckViolationError")


def placed(tenant: str, offset: int) -> Placed:
    source = Source(topic="enriched-messages", partition=0, offset=offset)
    return Placed(source, message(tenant_id=tenant), f"{tenant}:ycloud:w".encode(), b"")


async def test_a_sink_that_refuses_the_records_of_every_tenant_stops_setting_aside() -> None:
    gate = Gate("assemble", Breaker(Limits(consecutive=5)), Nobody())
    judging = Judging(gate)
    batch = [placed(f"t{n % 4}", n) for n in range(20)]
    assert not await judging.may_quarantine(batch, [(one, REFUSED) for one in batch])
    assert judging.is_shut
    assert not await judging.may_quarantine(batch[:1], [(batch[0], REFUSED)])
    assert gate._asking is not None
    gate._asking.cancel()


async def test_one_record_among_good_ones_may_be_set_aside() -> None:
    judging = Judging(Gate("assemble", Breaker(Limits(consecutive=5)), Nobody()))
    batch = [placed(f"t{n % 4}", n) for n in range(20)]
    await judging.stored(batch)
    assert await judging.may_quarantine(batch, [(batch[3], REFUSED)])
    assert not judging.is_shut


def test_the_order_of_tuples_and_of_raw_keys_differ_for_these_tenants() -> None:
    """Otherwise the test of the lock order proves nothing."""
    raw = sorted(f"{name}:ycloud".encode() for name in TENANTS)
    assert [key.partition(b":")[0].decode() for key in raw] != sorted(TENANTS)
    assert all(first <= second for first, second in pairwise(raw))


class Fetched:
    """A record as the consumer returns it."""

    def __init__(
        self,
        partition: int,
        offset: int,
        value: bytes,
        topic: str = "enriched-messages",
        key: bytes = b"acme:ycloud:w",
    ) -> None:
        self._at, self._value, self._topic, self._key = (partition, offset), value, topic, key

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._at[0]

    def offset(self) -> int:
        return self._at[1]

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes:
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        return []


def test_a_record_of_a_newer_program_holds_its_partition_and_no_other() -> None:
    known = encode(message())
    unknown = by_the_next_release(message())
    rows = [(0, 1, known), (0, 2, unknown), (1, 5, known), (0, 3, known), (1, 6, b"no avro")]
    batch: Any = [Fetched(*row) for row in rows]
    held = HeldPartitions()
    undecodable, (work,) = decode_batch(batch, Names(""), held)
    assert work.ends == {("enriched-messages", 0): 2, ("enriched-messages", 1): 7}
    assert [(one.source.partition, one.source.offset) for one in work.placed] == [(0, 1), (1, 5)]
    assert [one.source.offset for one, _ in undecodable] == [6]
    assert held.holds(("enriched-messages", 0)) and not held.holds(("enriched-messages", 1))


def test_receipts_of_other_stages_are_passed_over_unread() -> None:
    (receipt,) = Ledger("dedupe", "raw-messages", 3).receipts(
        Span(0, 1), [Line(0, b"acme:ycloud:w", 0, "forwarded", "", 0)]
    )
    rows = [(0, b"no avro", b"assemble:0"), (1, receipt, b"dedupe:3"), (2, b"", b"describe:1")]
    batch: Any = [Fetched(0, at, value, "receipts", key) for at, value, key in rows]
    undecodable, (work,) = decode_batch(batch, Names(""), HeldPartitions())
    assert undecodable == [] and work.ends == {("receipts", 0): 3}
    assert [one.source.offset for one in work.placed] == [1]


def test_a_decoded_batch_brings_the_rows_that_the_writer_would_make_of_it() -> None:
    records = [message(version=version, content=str(version)) for version in (2, 3, 1)]
    batch: Any = [Fetched(0, at, encode(one)) for at, one in enumerate(records)]
    _, (work,) = decode_batch(batch, Names(""), HeldPartitions())
    assert work.rows == message_rows(records)


def test_a_batch_whose_rows_cannot_be_made_leaves_that_to_the_writer() -> None:
    with_files = message(attachment(url="s3://media/one"), version=1)
    broken = message(version=2, content_attributes="no JSON")
    batch: Any = [Fetched(0, at, encode(one)) for at, one in enumerate((with_files, broken))]
    _, (work,) = decode_batch(batch, Names(""), HeldPartitions())
    assert len(work.placed) == 2 and work.rows is None
