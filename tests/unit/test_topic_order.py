"""enriched-messages keeps the last record of each key.

It must be the newest version, whatever overlaps.
"""

from typing import Any

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
from tests.unit.records import attachment, message, opened, stored
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


def test_audit_names_a_version_that_compaction_would_keep_in_a_newer_ones_place() -> None:
    def record(offset: int, version: int) -> tuple[int, int, bytes, EnrichedMessage]:
        return 0, offset, KEY, message(version=version)

    rising = [record(0, 1), record(1, 2), record(2, 1001), record(3, 2001)]
    assert versions(rising).findings == []
    (finding,) = versions([*rising, record(4, 1002)]).findings
    assert (finding.kind, finding.message_key) == ("unexplained", KEY.decode())
    assert "version 1002 comes after 2001" in finding.what
    assert versions([*rising, record(4, 1)]).findings[0].kind == "twice"
