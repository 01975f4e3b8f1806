"""Records of a newer program are neither wrong nor readable."""

import json
import struct
from typing import Any

import msgspec
import pytest

from schemas.codec import Undecodable, decode, encode
from schemas.records import Enrichment, RawMessage
from schemas.topics import Names
from schemas.versions import STATE_VERSION, UnknownVersion
from streams.apps import assemble as assemble_app
from streams.apps import dedupe as dedupe_app
from streams.apps.encoding import Encoding
from streams.lanes.claims import ClaimedKeys, opened
from streams.lanes.entries import Entry, decode_entry, encode_entry
from streams.lanes.in_flight import InFlightRecord, left_in, shared_memory
from streams.lanes.state import KeptValues
from streams.stages.assemble import OpenMessage, fold
from tests.unit.newer import ADDED, BEFORE, NEXT_ID, SINCE, by_the_next_release, next_release
from tests.unit.records import enrichment, message, raw

ENCODING = Encoding(Names(), 4)
ENTRY = Entry("acme", b"acme:ycloud:1", [("tenant", b"acme")], b"body", 1.0, 2, 3.0, 4.0)


def said(provider_id: str) -> RawMessage:
    body = {
        "provider": "ycloud",
        "provider_message_id": provider_id,
        "conversation_id": "1~2",
        "sender": {"id": "2"},
        "text": "hola",
    }
    return raw(provider_id=provider_id, content=json.dumps(body).encode(), endpoint_id="")


class Record:
    def __init__(self, offset: int, key: bytes, value: bytes) -> None:
        self._offset, self._key, self._value = offset, key, value

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes:
        return self._value

    def partition(self) -> int:
        return 0

    def topic(self) -> str:
        return "raw-messages"

    def headers(self) -> list[tuple[str, bytes]]:
        return [("tenant", b"acme"), ("provider", b"ycloud")]

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


class Settling:
    """A batch as the app sees it."""

    def __init__(self, state: Any, *values: tuple[bytes, bytes]) -> None:
        self.state = state
        self.messages: list[Any] = [Record(n, *pair) for n, pair in enumerate(values)]
        self.in_flight = InFlightRecord()
        self.settled: tuple[Any, ...] = ()

    def each(self) -> Any:
        return self.in_flight.each(0, self.messages)

    def settle(self, *settled: Any) -> None:
        self.settled = settled


def test_an_id_of_ours_that_is_not_pinned_is_a_newer_programs() -> None:
    with pytest.raises(UnknownVersion, match=f"schema id {NEXT_ID}"):
        decode(RawMessage, by_the_next_release(raw()))
    older, newer = encode(raw()), by_the_next_release(raw())
    with next_release("RawMessage"):
        found = [msgspec.structs.asdict(decode(RawMessage, value)) for value in (older, newer)]
    assert found == [msgspec.structs.asdict(raw()) | {ADDED: one} for one in (BEFORE, SINCE)]
    assert decode(RawMessage, older) == raw()


@pytest.mark.parametrize("schema_id", [0, 10_000, 4_000_000_000])
def test_an_id_that_is_not_ours_is_not_a_record(schema_id: int) -> None:
    with pytest.raises(Undecodable):
        decode(RawMessage, struct.pack(">bI", 0, schema_id) + encode(raw())[5:])


def test_an_entry_carries_its_version_and_one_without_is_still_read() -> None:
    assert encode_entry(ENTRY)[0] == STATE_VERSION
    assert decode_entry(encode_entry(ENTRY)) == ENTRY
    assert decode_entry(msgspec.msgpack.encode(ENTRY)) == ENTRY


def test_an_open_message_carries_its_version_and_one_without_is_still_read() -> None:
    opened = fold(None, enrichment("opened", snapshot=encode(message())))
    assert isinstance(opened, OpenMessage)
    assert opened.to_bytes()[0] == STATE_VERSION
    assert OpenMessage.from_bytes(opened.to_bytes()[1:]) == opened


def test_state_of_a_newer_version_says_which_is_needed() -> None:
    newer = bytes((STATE_VERSION + 1,))
    with pytest.raises(UnknownVersion, match=f"Entry has version {STATE_VERSION + 1}"):
        decode_entry(newer + b"whatever")
    with pytest.raises(UnknownVersion, match=f"OpenMessage has version {STATE_VERSION + 1}"):
        OpenMessage.from_bytes(newer + b"whatever")


def test_dedupe_settles_what_is_before_a_newer_record_and_claims_nothing_of_it() -> None:
    first, second = said("m1"), said("m2")
    batch: Any = Settling(
        ClaimedKeys(),
        (first.message_key.encode(), encode(first)),
        (second.message_key.encode(), by_the_next_release(second)),
        (first.message_key.encode(), encode(first)),
    )
    dedupe_app.decide(batch, ENCODING)
    writes, claims, lines, newer = batch.settled
    assert [one.outcome for one in lines] == ["forwarded"]
    assert (len(claims), "quarantine" in {one.topic for one in writes}) == (1, False)
    assert isinstance(newer, UnknownVersion)


def test_assemble_settles_what_is_before_a_newer_record_or_a_newer_state() -> None:
    key = message().message_key.encode()
    opened = enrichment("opened", snapshot=encode(message()))
    for state, values, settled in (
        (KeptValues(), [encode(opened), by_the_next_release(opened)], ["folded"]),
        (KeptValues(), [encode(enrichment("opened", snapshot=by_the_next_release(message())))], []),
    ):
        batch: Any = Settling(state, *((key, value) for value in values))
        assemble_app.decide(batch, ENCODING)
        writes, _, lines, newer = batch.settled
        assert ([one.outcome for one in lines], isinstance(newer, UnknownVersion)) == (
            settled,
            True,
        )
        assert "quarantine" not in {one.topic for one in writes}
    kept = KeptValues()
    kept.put(key, bytes((STATE_VERSION + 1,)))
    batch = Settling(kept, (key, encode(enrichment("described", 0, text="x"))))
    assemble_app.decide(batch, ENCODING)
    assert (batch.settled[2], isinstance(batch.settled[3], UnknownVersion)) == ([], True)
    assert kept.get(key) == bytes((STATE_VERSION + 1,))


def test_a_record_that_is_waited_at_is_not_in_hand() -> None:
    in_flight, memory = InFlightRecord(), shared_memory()
    in_flight.share(memory, {})
    for _ in in_flight.each(0, [Record(5, b"k", b"v")]):  # type: ignore[list-item]
        break
    assert left_in(memory) == (0, 5)
    in_flight.clear()
    assert left_in(memory) is None


def test_an_enrichment_by_a_newer_program_is_not_an_enrichment_of_ours() -> None:
    with pytest.raises(UnknownVersion):
        decode(Enrichment, by_the_next_release(enrichment("described", 0, text="x")))


@pytest.mark.parametrize("off_by_days", [-30, 0, 30])
def test_a_worker_with_a_wrong_clock_neither_loses_its_claims_nor_wipes_others(
    off_by_days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = 20_000
    monkeypatch.setattr(Record, "timestamp", lambda self: (1, today * 86_400_000))
    monkeypatch.setattr(dedupe_app.time, "time", lambda: (today + off_by_days) * 86_400.0)
    state = ClaimedKeys()
    state.claim(b"x" * 16, today - 7)
    state.changelog()
    record = said("m1")
    batch: Any = Settling(state, (record.message_key.encode(), encode(record)))
    dedupe_app.decide(batch, ENCODING)
    _, claims, lines, _ = batch.settled
    assert ([one.outcome for one in lines], b"x" * 16 in state) == (["forwarded"], True)
    assert [day >= today for day, _ in map(opened, (value for _, value in claims))] == [True]
    state.forget_before(today - dedupe_app.HORIZON_DAYS)  # the next owner's clock is right
    assert len(state) == 2
