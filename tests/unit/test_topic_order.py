"""enriched-messages keeps the last record of each key.

It must be the newest version, whatever overlaps.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.records import EnrichedMessage, Enrichment
from schemas.topics import HORIZON_MS, Names
from streams.apps import closing
from streams.apps.assemble import decide
from streams.apps.encoding import Encoding
from streams.audit.versions import versions
from streams.lanes.state import KeptValues
from streams.stages.assemble import ClosedMessage, closed_message
from tests.unit.records import NOW, attachment, message, opened, stored
from tests.unit.test_versions import Settling

ENCODING = Encoding(Names(), 4)
KEY = message().message_key.encode()
HORIZON_DAYS = HORIZON_MS // 86_400_000


def of_generation(generation: int, files: int, number: int = 0) -> list[Enrichment]:
    """What assemble gets from one opening of the message: the opening, and one file each."""
    attachments = [attachment(index) for index in range(files)]
    status = "pending" if files else "complete"
    version = generation * 1000 + number * 200 + 1
    begun = message(*attachments, generation=generation, version=version, status=status)
    facts = [stored(index, generation=generation) for index in range(files)]
    return [opened(begun, generation), *facts]


@st.composite
def interleavings(draw: st.DrawFn) -> tuple[list[list[Enrichment]], list[int]]:
    """Openings of several generations and a late one of live traffic, mixed, with batch sizes.

    Each opening keeps its own order.
    """
    generations = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4, unique=True))
    queues = [of_generation(generation, draw(st.integers(0, 2))) for generation in generations]
    queues.append(of_generation(0, draw(st.integers(1, 2)), draw(st.sampled_from([0, 1]))))
    merged: list[Enrichment] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        merged.append(queue.pop(0))
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    batches = []
    while merged:
        size = sizes[len(batches) % len(sizes)]
        batches.append(merged[:size])
        merged = merged[size:]
    return batches, generations


def run(batches: list[list[Enrichment]]) -> tuple[list[int], dict[bytes, bytes | None]]:
    """The versions in the order of the topic.

    The table is loaded again from its changelog before each batch.
    """
    written: list[int] = []
    changelog: dict[bytes, bytes | None] = {}
    for facts in batches:
        kept = KeptValues()
        for key, value in changelog.items():
            kept.put(key, value)
        batch: Any = Settling(kept, *((KEY, encode(fact)) for fact in facts))
        decide(batch, ENCODING)
        writes, changed, _, _ = batch.settled
        changelog.update(changed)
        written += [
            decode(EnrichedMessage, write.value).version
            for write in writes
            if write.topic == "enriched-messages"
        ]
    return written, changelog


@given(interleavings())
def test_versions_rise_in_the_topic_and_the_last_is_of_the_newest_generation(
    case: tuple[list[list[Enrichment]], list[int]],
) -> None:
    batches, generations = case
    written, changelog = run(batches)
    assert written == sorted(set(written))
    assert written[-1] // 1000 == max(generations)
    left = changelog[KEY]
    assert left is not None
    closed = closed_message(left)
    assert closed is not None and closed.last_version == written[-1]


@given(interleavings(), st.data())
def test_a_quarantine_replay_at_any_time_leaves_the_newest_version_last(
    case: tuple[list[list[Enrichment]], list[int]], data: st.DataObject
) -> None:
    topic: list[int] = []
    refused: list[int] = []
    row = 0
    for version in run(case[0])[0]:
        topic.append(version)
        if data.draw(st.booleans(), "the sink refuses it"):
            refused.append(version)
        else:
            row = version
        if data.draw(st.booleans(), "somebody replays what was refused"):
            again = [old for old in refused if old >= row]  # `superseded` in repair.sql
            topic += again
            row = max([row, *again])
            refused = []
    assert topic[-1] == max(topic)


def test_two_replays_that_overlap_in_the_wrong_order_leave_the_newer_one() -> None:
    later, earlier = of_generation(2, 1), of_generation(1, 1)
    assert run([later, earlier])[0] == [2001]
    assert run([[later[0]], [later[1]], earlier])[0] == [2001, 2002]
    assert run([[earlier[0]], later, [earlier[1]]])[0] == [1001, 2001]


def test_a_later_opening_of_the_same_repair_is_still_written() -> None:
    first, second = of_generation(1, 1), of_generation(1, 1, number=1)
    assert run([first, second])[0] == [1001, 1201]


def test_a_message_that_no_repair_touched_leaves_nothing_behind() -> None:
    written, changelog = run([of_generation(0, 1)])
    assert (written, changelog) == ([2], {KEY: None})


def test_what_is_remembered_of_repaired_messages_is_forgotten_after_the_horizon() -> None:
    kept, today = KeptValues(), 20_000
    for number in range(700):
        day = today - HORIZON_DAYS - (1 if number < 600 else 0)
        kept.put(b"%d" % number, ClosedMessage(1001, day).to_bytes())
    kept.put(b"open", b"\x94")
    first, second, third = (closing.forgotten(kept, today) for _ in range(3))
    assert (len(first), len(second), third, len(kept)) == (500, 100, [], 101)
    assert {value for _, value in first + second} == {None}
    assert len(closing.forgotten(kept, today + 1)) == 100


def record(
    offset: int, version: int, received_at: datetime = NOW
) -> tuple[int, int, bytes, EnrichedMessage]:
    return 0, offset, KEY, message(version=version, received_at=received_at)


def test_audit_names_a_version_that_compaction_would_keep_in_a_newer_ones_place() -> None:
    rising = [record(0, 1), record(1, 2), record(2, 1001), record(3, 2001)]
    assert versions(rising).findings == []
    (finding,) = versions([*rising, record(4, 1002)]).findings
    assert (finding.kind, finding.message_key) == ("unexplained", KEY.decode())
    assert "version 1002 comes after 2001" in finding.what
    assert versions([*rising, record(4, 1)]).findings[0].kind == "twice"


WITHIN, AFTER = NOW + timedelta(days=7), NOW + timedelta(days=HORIZON_DAYS + 1)


@pytest.mark.parametrize(
    ("before", "later"),
    [
        ([1, 2], [1]),  # its description is not in the topic once it is compacted
        ([1, 2], [1, 2, 201]),
        ([1, 201], [1, 201]),  # a late file of each delivery
        ([1, 1001, 2001], [1]),
    ],
)
def test_audit_counts_a_message_that_was_opened_once_more_after_the_horizon_and_balances(
    before: list[int], later: list[int]
) -> None:
    earlier = [record(at, version) for at, version in enumerate(before)]
    again = [record(len(before) + at, version, AFTER) for at, version in enumerate(later)]
    collected = versions([*earlier, *again])
    assert (collected.findings, list(collected.reopened)) == ([], [KEY.decode()])
    assert versions(earlier).reopened == {}


def test_a_live_delivery_after_a_repair_alone_is_counted_however_early_it_comes() -> None:
    collected = versions([record(0, 2001), record(1, 1, WITHIN)])
    assert (collected.findings, list(collected.reopened)) == ([], [KEY.decode()])
    assert collected.newest[KEY.decode()].version == 2001


def test_a_message_that_was_opened_once_more_within_the_horizon_is_there_twice() -> None:
    for records in (
        [record(0, 1), record(1, 2), record(2, 1, WITHIN)],
        [record(0, 1), record(1, 1001), record(2, 1, WITHIN)],
    ):
        collected = versions(records)
        assert [one.kind for one in collected.findings] == ["twice"]
        assert collected.reopened == {}


def test_a_message_that_was_opened_once_more_is_watched_as_before() -> None:
    again = [record(0, 1), record(1, 1, AFTER), record(2, 1, AFTER + timedelta(days=1))]
    assert [one.kind for one in versions(again).findings] == ["twice"]
    third = AFTER + timedelta(days=HORIZON_DAYS + 1)
    assert versions([*again[:2], record(2, 1, third)]).findings == []


def test_an_erased_message_is_not_counted_as_opened_once_more() -> None:
    collected = versions([record(0, 1), record(1, 1, AFTER), (0, 2, KEY, None)])
    assert (collected.reopened, collected.newest) == ({}, {})


@pytest.mark.parametrize(
    ("version", "received_at", "is_counted"),
    [
        (2, AFTER, False),  # the row has this delivery
        (2, NOW, True),
        (2, AFTER - timedelta(days=1), False),
        (2001, AFTER - timedelta(days=1), True),  # no live delivery was forwarded before
    ],
)
def test_a_message_is_counted_too_if_only_its_row_shows_the_first_delivery(
    version: int, received_at: datetime, is_counted: bool
) -> None:
    key = KEY.decode()
    rows = {key: {"version": version, "received_at": received_at}}
    counted = versions([record(0, 1, AFTER)]).reopened_beside(rows)
    assert counted == ({key} if is_counted else set())


def test_a_version_that_the_sink_refused_is_there_once_more_for_each_replay() -> None:
    key = KEY.decode()
    records = [record(0, 1), record(1, 2), record(2, 1), record(3, 2), record(4, 2)]
    collected = versions(records)
    assert [one.kind for one in collected.findings] == ["twice"] * 3
    assert collected.newest[key].offset == 4
    collected.forgive([(key, 1), (key, 2), ("acme:ycloud:other", 1)])
    assert [one.what for one in collected.findings] == [
        "enriched-messages[0]@4: version 2 follows 2"
    ]
    assert list(collected.openings.values()) == [1]
