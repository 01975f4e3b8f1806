"""A record of any size ends with an outcome.

A lane that produces what Kafka refuses ends, and so does the next one.
"""

import json
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.arrival import Arrival
from schemas.codec import decode, encode
from schemas.outcomes import Output, Quarantine
from schemas.records import ChatMessage, EnrichedMessage, Enrichment, Quarantined, RawMessage
from schemas.topics import MAX_RECORD_BYTES, MAX_WRITE_BYTES, Names
from streams.apps import dedupe as dedupe_app
from streams.apps.assemble import decide as fold_batch
from streams.apps.assemble import weight
from streams.apps.dedupe import decide as dedupe_batch
from streams.apps.encoding import Encoding, TooLarge
from streams.lanes.claims import ClaimedKeys
from streams.lanes.state import KeptValues
from streams.stages.assemble import OpenMessage, assemble, fold, open_message
from tests.depth import THOROUGH
from tests.unit.records import (
    KEY,
    NOW,
    TENANT,
    attachment,
    chat,
    enrichment,
    found,
    message,
    opened,
    raw,
    stored,
)

ENCODING = Encoding(Names(), 4)
HEADERS = [("tenant", TENANT.encode()), ("provider", b"ycloud"), ("generation", b"0")]


class Kafka:
    """A record as the client returns it."""

    def __init__(
        self,
        value: bytes | None,
        offset: int = 0,
        key: bytes = KEY.encode(),
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        self._value, self._offset, self._key, self._headers = (
            value,
            offset,
            key,
            HEADERS if headers is None else headers,
        )

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes:
        return self._key

    def offset(self) -> int:
        return self._offset

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers

    def topic(self) -> str:
        return "raw-messages"

    def partition(self) -> int:
        return 0

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


def batch(state: object, *messages: Kafka) -> Any:
    settled = SimpleNamespace(
        state=state, messages=list(messages), writes=[], changelog=[], lines=[]
    )

    def settle(
        writes: list[Any], changelog: list[Any], lines: list[Any], newer: object = None
    ) -> None:
        settled.writes, settled.changelog, settled.lines = writes, changelog, lines

    settled.settle, settled.each = settle, lambda: ((message, False) for message in messages)
    return settled


def largest(settled: Any) -> int:
    return max(
        len(value or b"") + len(key)
        for key, value in [*((w.key, w.value) for w in settled.writes), *settled.changelog]
    )


# dedupe


def saying(monkeypatch: pytest.MonkeyPatch, *said: ChatMessage) -> None:
    answers = list(said)
    monkeypatch.setattr(dedupe_app, "read", lambda raw: answers.pop(0))


@pytest.mark.parametrize(
    ("unwritable", "reason"),
    [
        (chat(content="half \ud800 a character"), "stage_error"),
        (chat(content="x" * (MAX_RECORD_BYTES - 700 * 1024)), "record_too_large"),
        (chat(sender_name="x" * MAX_RECORD_BYTES), "record_too_large"),
    ],
)
def test_a_message_that_cannot_be_written_is_set_aside_and_claims_nothing(
    monkeypatch: pytest.MonkeyPatch, unwritable: ChatMessage, reason: str
) -> None:
    saying(monkeypatch, unwritable, chat())
    settled = batch(ClaimedKeys(), Kafka(encode(raw()), 0), Kafka(encode(raw()), 1))
    dedupe_batch(settled, ENCODING)
    assert [(one.outcome, one.reason) for one in settled.lines] == [
        ("quarantined", reason),
        ("forwarded", ""),
    ]
    assert [write.topic for write in settled.writes] == ["quarantine", "enriched-messages"]
    assert len(settled.changelog) == 1


def test_a_quarantine_whose_detail_holds_half_a_character_can_be_written() -> None:
    arrival = Arrival("raw-messages", 0, 7, KEY.encode(), b"x", HEADERS)
    write = ENCODING.quarantined(
        arrival, "dedupe", Quarantine("field_invalid", "\ud800: unknown field")
    )
    assert decode(Quarantined, write.value).detail == "?: unknown field"


@pytest.mark.parametrize("value", [b"x" * (MAX_RECORD_BYTES - 100), b"x" * MAX_WRITE_BYTES])
def test_a_record_too_large_for_the_quarantine_is_kept_by_its_place(value: bytes) -> None:
    arrival = Arrival("media", 2, 7, KEY.encode(), value, [*HEADERS, ("huge", b"h" * 1_000)])
    write = ENCODING.quarantined(arrival, "store_media", Quarantine("record_undecodable", "no"))
    kept = decode(Quarantined, write.value)
    assert (kept.value, kept.topic, kept.partition, kept.offset, set(kept.headers)) == (
        None,
        "media",
        2,
        7,
        {"tenant", "provider", "generation"},
    )
    assert "too large to be kept here" in kept.detail


def test_a_record_of_usual_size_is_quarantined_whole() -> None:
    arrival = Arrival("media", 2, 7, KEY.encode(), b"x" * (2 * 1024 * 1024), HEADERS)
    kept = decode(
        Quarantined,
        ENCODING.quarantined(arrival, "store_media", Quarantine("record_undecodable", "no")).value,
    )
    assert (kept.value, kept.detail) == (arrival.value, "no")


def test_what_does_not_fit_a_record_is_said_before_it_is_produced() -> None:
    record = enrichment("described", 0, text="x" * MAX_RECORD_BYTES)
    with pytest.raises(TooLarge, match="Enrichment of"):
        ENCODING.write(Output("enrichments", KEY, record), "")


# assemble


def described(index: int, text: str) -> Enrichment:
    return enrichment(
        "described", index, text=text, model="gpt-4o", recipe="r1", prompt_version="v1"
    )


def transcribed(index: int, text: str) -> Enrichment:
    return enrichment(
        "transcribed", index, text=text, model="whisper-1", recipe="r2", prompt_version="v1"
    )


def version_of(of: EnrichedMessage, *facts: Enrichment) -> EnrichedMessage:
    state = open_message(opened(of))
    for fact in facts:
        fold(state, fact)
        assert len(state.to_bytes()) < MAX_WRITE_BYTES
        state = OpenMessage.from_bytes(state.to_bytes())
    return assemble(state, NOW)


def voices(count: int, **fields: Any) -> EnrichedMessage:
    return message(*(attachment(n, type="audio") for n in range(count)), kind="audio", **fields)


def heard(count: int, text: str) -> list[Enrichment]:
    return [
        one
        for n in range(count)
        for one in (stored(n, mime_type="audio/ogg", next="audio"), transcribed(n, text))
    ]


_DEEPER = pytest.mark.thorough


@pytest.mark.parametrize(
    "text",
    ["\x01", *(pytest.param(text, marks=_DEEPER) for text in ("x", "\N{GRINNING FACE}", '"'))],
)
@pytest.mark.parametrize(
    ("count", "content"),
    [
        (50, "c" * 2_700_000),
        (1, ""),
        pytest.param(1, "c" * 2_900_000, marks=_DEEPER),
        pytest.param(50, "", marks=_DEEPER),
    ],
)
def test_whatever_was_transcribed_the_version_fits_a_record(
    count: int, content: str, text: str
) -> None:
    finished = version_of(
        voices(count, content=content or None),
        *heard(count, text * 3_000_000 if count == 1 else text * 200_000),
    )
    assert len(encode(finished)) < MAX_WRITE_BYTES
    assert (finished.status, finished.content) == (
        "complete",
        content or "\n".join(one.transcript or "" for one in finished.attachments) or None,
    )
    assert all(
        one.status == "transcribed" and set(one.transcript or text) == {text}
        for one in finished.attachments
    )
    json.loads(finished.content_attributes)


def test_a_text_that_fits_is_kept_whole() -> None:
    hours = "palabra " * 30_000
    finished = version_of(voices(1), *heard(1, hours))
    assert (finished.content, finished.attachments[0].transcript) == (hours, hours)


@settings(max_examples=15 if THOROUGH else 3)
@given(st.lists(st.integers(0, 1_500_000), min_size=3, max_size=3))
def test_what_is_cut_does_not_depend_on_the_order(sizes: list[int]) -> None:
    facts = [
        one
        for n, size in enumerate(sizes)
        for one in (stored(n, next="vision"), described(n, "d" * size))
    ]
    of = message(*(attachment(n) for n in range(3)), content="c" * 1_000_000)
    versions = {
        encode(version_of(of, *(facts[i] for i in order)))
        for order in list(permutations(range(6)))[::103]
    }
    assert len(versions) == 1


def test_a_message_whose_version_cannot_fit_is_quarantined_and_closed_and_its_neighbours_continue() -> (
    None
):
    kept = KeptValues()
    huge = open_message(opened(message(attachment(0), content="c" * (MAX_WRITE_BYTES - 100))))
    kept.put(b"acme:ycloud:huge", huge.to_bytes())
    kept.put(KEY.encode(), open_message(opened(message(attachment(0)))).to_bytes())
    fact = encode(stored(0))
    settled = batch(kept, Kafka(fact, 0, b"acme:ycloud:huge"), Kafka(fact, 1))
    fold_batch(settled, ENCODING)
    assert [(one.offset, one.outcome, one.reason) for one in settled.lines] == [
        (0, "quarantined", "record_too_large"),
        (1, "folded", ""),
    ]
    assert sorted(write.topic for write in settled.writes) == ["enriched-messages", "quarantine"]
    assert settled.changelog == [(b"acme:ycloud:huge", None), (KEY.encode(), None)]
    assert largest(settled) < MAX_WRITE_BYTES


def test_the_largest_message_dedupe_lets_through_leaves_room_for_what_its_files_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = [found("image", url=f"https://files.example.com/{n}") for n in range(50)]
    saying(monkeypatch, chat(*images, content="x" * (3 * 1024 * 1024 - 64 * 1024)))
    settled = batch(ClaimedKeys(), Kafka(encode(raw()), 0))
    dedupe_batch(settled, ENCODING)
    assert [(one.outcome, one.reason) for one in settled.lines] == [("forwarded", "")]
    (begun,) = [
        decode(Enrichment, write.value) for write in settled.writes if write.topic == "enrichments"
    ]
    state = open_message(begun)
    for n in range(50):
        fold(state, stored(n, next="vision"))
        fold(state, described(n, "d" * 2_000))
    finished = assemble(state, NOW)
    assert [one.description for one in finished.attachments] == ["d" * 2_000] * 50
    assert len(encode(finished)) < MAX_WRITE_BYTES


def test_a_small_fact_of_a_large_message_weighs_what_it_makes_the_stage_write() -> None:
    kept = KeptValues()
    kept.put(b"large", b"x" * 1_000_000)
    assert weight(kept, Kafka(b"fact", key=b"large")) >= 2_000_000  # type: ignore[arg-type]
    assert weight(kept, Kafka(b"fact", key=b"small")) < 100  # type: ignore[arg-type]
    assert weight(kept, Kafka(None, key=b"small")) == 0  # type: ignore[arg-type]


def test_a_raw_record_that_is_not_a_raw_record_is_quarantined_whole() -> None:
    settled = batch(ClaimedKeys(), Kafka(b"junk"), Kafka(None, 1))
    dedupe_batch(settled, ENCODING)
    assert [decode(Quarantined, write.value).value for write in settled.writes] == [b"junk", None]


def test_a_body_of_the_largest_allowed_size_fits_the_raw_topic_and_the_quarantine() -> None:
    body = b"x" * (MAX_RECORD_BYTES // 2 - 64 * 1024)
    value = encode(
        RawMessage(tenant_id=TENANT, provider="ycloud", message_key=KEY, received_at=NOW, body=body)
    )
    settled = batch(ClaimedKeys(), Kafka(value))
    dedupe_batch(settled, ENCODING)
    assert decode(Quarantined, settled.writes[0].value).value == value
