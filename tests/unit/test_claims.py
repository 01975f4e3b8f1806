import os
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.settings import Settings
from schemas.topics import Names, claims_changelog
from schemas.versions import UnknownVersion
from streams.apps.dedupe import create_app
from streams.lanes import claims, digests
from streams.lanes.claims import CLAIMS_VERSION, TAIL, ClaimedKeys, opened
from tests.depth import by_depth

HORIZON = 8


class Record:
    """A changelog record as the client returns it."""

    def __init__(self, key: bytes, value: bytes | None) -> None:
        self._key, self._value = key, value

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value


def loaded(records: list[Any], portion: int = 7) -> ClaimedKeys:
    keys = ClaimedKeys()
    batches = [
        [Record(*record) for record in records[at : at + portion]]
        for at in range(0, len(records), portion)
    ]
    assert keys.load(batches) == len(records)  # type: ignore[arg-type]
    return keys


def single(digest: bytes, day: int) -> tuple[bytes, bytes]:
    """A claim as programs before decision 0041 wrote it."""
    return digest, b"%d" % day


def digest_of(number: int) -> bytes:
    """A digest with few different first bytes, so that buckets are shared.

    Its bytes look like the middle of other digests.
    """
    return bytes((number % 3, 0)) + bytes(12) + bytes((number, 0))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets from the fifth id of a day on, and blocks from the sixth claim on, for small cases."""
    monkeypatch.setattr(digests, "SET_IDS", 4)
    monkeypatch.setattr(digests, "USUAL_IDS", 2)
    monkeypatch.setattr(digests, "FULL_IDS", 3)
    monkeypatch.setattr(claims, "BLOCK_IDS", 6)
    monkeypatch.setattr(claims, "LARGEST_BLOCK_IDS", 4)
    monkeypatch.setattr(claims, "LOAD_IDS", 5)


def test_many_claims_of_several_days_are_all_remembered_and_nothing_else_is() -> None:
    daily = by_depth(50_000, 10_000)
    claimed = [os.urandom(16) for _ in range(3 * daily)]
    live, log = ClaimedKeys(), []
    for begin in range(0, len(claimed), 1_000):
        for place in range(begin, begin + 1_000):
            live.claim(claimed[place], 10 + place // daily)
        log += live.changelog()
    again = loaded(log)
    strangers = [os.urandom(16) for _ in range(20_000)]
    neighbours = [digest[:15] + bytes([digest[15] ^ 1]) for digest in claimed[:20_000]]
    for keys in (live, again):
        assert len(keys) == 3 * daily
        assert all(digest in keys for digest in claimed)
        assert not any(digest in keys for digest in strangers + neighbours)
    again.forget_before(11)
    assert [digest in again for digest in (claimed[0], claimed[daily - 1], claimed[daily])] == [
        False,
        False,
        True,
    ]


def test_claims_of_older_programs_are_read_also_before_records_of_this_one() -> None:
    old = [os.urandom(16) for _ in range(1_000)]
    log: list[Any] = [single(digest, 10 + place // 500) for place, digest in enumerate(old)]
    keys = loaded(log)
    new = [os.urandom(16) for _ in range(5_000)]
    for digest in new:
        keys.claim(digest, 12)
    again = loaded(log + keys.changelog())
    assert all(digest in again for digest in old + new) and len(again) == 6_000
    again.forget_before(11)
    assert [digest in again for digest in (old[0], old[-1], new[0])] == [False, True, True]


def test_what_this_program_cannot_read_is_never_passed_over() -> None:
    keys = ClaimedKeys()
    keys.claim(b"x" * 16, 20_000)
    ((key, value),) = keys.changelog()
    assert value is not None and value[0] == CLAIMS_VERSION
    newer = bytes((CLAIMS_VERSION + 1,)) + value[1:]
    for record, needed in (
        ((key, newer), f"claims have version {CLAIMS_VERSION + 1}"),
        ((b"other 1", value), "unknown kind"),
        ((b"x" * 15, b"20000"), "not a digest"),
        ((key, None), "no value"),
        ((key, b""), "no value"),
        ((TAIL + b"x", value), "unknown kind"),
        ((key, value[:-1]), "whole digests"),
        ((key, value[:1]), "whole digests"),
    ):
        with pytest.raises(UnknownVersion, match=needed):
            loaded([record])


def test_an_older_program_refuses_what_this_one_wrote() -> None:
    """It reads a value as the digits of a day. If it accepted this one, it would forget the claim."""
    for day in range(19_000, 23_000):
        keys = ClaimedKeys()
        keys.claim(b"1" * 16, day)
        ((_, value),) = keys.changelog()
        with pytest.raises(ValueError):
            int(value or b"0")


def test_a_batch_is_one_record_and_a_batch_without_claims_none() -> None:
    keys = ClaimedKeys()
    assert keys.changelog() == []
    for number in range(1_000):
        keys.claim(digest_of(number % 256), 5)
    ((key, value),) = keys.changelog()
    assert (key, len(value or b"")) == (b"tail 0", 5 + 16_000)
    assert keys.changelog() == []


@pytest.mark.usefixtures("few")
def test_a_block_holds_the_tails_before_it_and_their_keys_are_used_again() -> None:
    keys, log = ClaimedKeys(), []
    for number in range(13):
        keys.claim(digest_of(number), 5)
        log.append(keys.changelog())
    kinds = [[key[:6] for key, _ in records] for records in log]
    cycle = [[b"tail %d" % number] for number in range(5)] + [[b"block "] * 2]
    assert kinds == cycle * 2 + [[b"tail 0"]]
    of_blocks = [opened(value)[1] for records in log for key, value in records if key[:1] == b"b"]
    assert b"".join(of_blocks) == b"".join(map(digest_of, range(12)))
    blocks = [key for records in log for key, _ in records if key[:1] == b"b"]
    assert len(set(blocks)) == 4


@pytest.mark.usefixtures("few")
def test_a_lane_that_opens_continues_after_the_last_tail() -> None:
    keys = ClaimedKeys()
    keys.claim(digest_of(0), 5)
    log = keys.changelog()
    for number in range(1, 5):
        keys = loaded(log)
        keys.claim(digest_of(number), 6)
        log += keys.changelog()
    assert [key for key, _ in log] == [b"tail %d" % number for number in range(5)]
    keys = loaded(log)
    keys.claim(digest_of(5), 6)
    found = [opened(value) for _, value in keys.changelog()]
    assert [(day, len(joined) // 16) for day, joined in found] == [(5, 1), (6, 4), (6, 1)]


@pytest.mark.usefixtures("few")
def test_the_end_of_one_digest_and_the_beginning_of_the_next_are_not_taken_for_a_third() -> None:
    keys = ClaimedKeys()
    for number in range(20):
        keys.claim(bytes([number]) * 16, 1)
    first, second = b"\0" * 8 + b"\0\0" + b"\1" * 6, b"\0\0" + b"\2" * 14
    for digest in (first, second):
        keys.claim(digest, 1)
    held = first + second
    across = [held[at : at + 16] for at in range(1, 16)]
    assert not any(digest in keys for digest in across if digest not in (b"\0" * 16,))
    keys.claim(across[5], 1)
    assert across[5] in keys and first in keys and second in keys


@pytest.mark.usefixtures("few")
def test_a_claim_made_again_takes_no_more_room_in_memory() -> None:
    keys = ClaimedKeys()
    found = [os.urandom(16) for _ in range(20)]
    for _ in range(3):
        for digest in found:
            keys.claim(digest, 1)
    assert len(keys) == 20


def test_only_days_beyond_the_horizon_are_forgotten() -> None:
    keys = ClaimedKeys()
    names = {day: b"%016d" % day for day in (9, 10, 11)}
    for day, digest in names.items():
        keys.claim(digest, day)
    keys.forget_before(10)
    assert [digest in keys for digest in names.values()] == [False, True, True]
    keys.claim(names[9], 11)
    assert names[9] in keys


def test_the_buckets_of_a_growing_day_stay_short() -> None:
    day = digests.DayDigests()
    generator = random.Random(3)
    for _ in range(12):
        day.add_all(generator.randbytes(16 * 40_000))
    assert len(day) == 480_000
    assert max(map(len, day.buckets)) < 16 * digests.FULL_IDS * 2
    more = [generator.randbytes(16) for _ in range(60_000)]
    for digest in more:
        day.add(digest)
    assert len(day) == 540_000 and len(day.buckets) == 1 << 15
    assert sum(map(len, day.buckets)) == 16 * 540_000


def test_the_changelog_is_the_one_that_topics_apply_configures() -> None:
    names = Names("x")
    app = create_app(Settings(namespace="x"))
    assert app.lanes is not None
    assert app.lanes.table.changelog_topic_name == claims_changelog(names)


def in_partition(partition: int, records: list[Any]) -> list[Any]:
    made = []
    for place, record in enumerate(records):
        one: Any = Record(*record)
        one.partition, one.timestamp = (lambda: partition), (lambda place=place: (1, 1_000 + place))
        made.append(one)
    return made


@pytest.mark.usefixtures("few")
def test_claims_of_several_partitions_come_together_in_one_of_another_set_of_topics() -> None:
    lanes, logs = [ClaimedKeys(), ClaimedKeys()], [[single(digest_of(90 + n), 4)] for n in (0, 1)]
    for number in range(17):
        lanes[number % 2].claim(digest_of(number), 5)
        logs[number % 2] += lanes[number % 2].changelog()  # type: ignore[arg-type]
    read = in_partition(0, logs[0]) + in_partition(1, logs[1])  # tails that have the same keys
    found = list(claims.copies(read))
    assert list(claims.copies(read)) == found  # so that a copy that is run again adds nothing
    assert len({copy.key for copy in found}) == len(found)
    assert sum(copy.ids for copy in found) == 19 and all(copy.at >= 1_000 for copy in found)
    again = [(copy.key, copy.value) for copy in found]
    keys = loaded(again)
    for number in range(20, 29):  # what the new lane claims does not replace them, nor they that
        keys.claim(digest_of(number), 6)
        again += keys.changelog()  # type: ignore[arg-type]
    keys = loaded(again + [(copy.key, copy.value) for copy in found])
    expected = {*range(17), *range(20, 29), 90, 91}
    assert {n for n in range(100) if digest_of(n) in keys} == expected
    keys.forget_before(5)
    assert digest_of(90) not in keys and digest_of(16) in keys
    # and of a set that has copies itself
    onward = loaded([copy[:2] for copy in claims.copies(in_partition(0, again))])
    assert {n for n in range(100) if digest_of(n) in onward} == expected


def test_what_cannot_be_read_is_not_copied_either() -> None:
    value = claims.with_day(5, b"x" * 16)
    for record in ((b"tail 0", b"\x02" + value[1:]), (b"other 0", value), (b"x", b"5")):
        with pytest.raises(UnknownVersion):
            list(claims.copies(in_partition(0, [record])))


@dataclass
class World:
    """A partition's changelog on a broker, and the lane that has it.

    `model` maps each digest to the newest day of a committed claim.
    """

    log: list[tuple[bytes, bytes | None, int]] = field(default_factory=list)
    """Key, value, and the day on which the record was written."""
    model: dict[bytes, int] = field(default_factory=dict)
    today: int = 100
    lane: ClaimedKeys = field(default_factory=ClaimedKeys)

    def batch(self, numbers: list[int], commits: bool, day_ahead: int) -> None:
        """Does what dedupe's `decide` does.

        It claims what is not claimed yet. If that cannot be committed, the lane ends.
        """
        self.lane.forget_before(self.today - HORIZON)
        model = dict(self.model)
        for digest in map(digest_of, numbers):
            known = digest in self.lane
            assert known == (model.get(digest, 0) >= self.today - HORIZON)
            if not known:
                model[digest] = self.today + day_ahead
                self.lane.claim(digest, self.today + day_ahead)
        written = self.lane.changelog()
        if commits:
            self.log += [(key, value, self.today) for key, value in written]
            self.model = model
        else:
            self.open()

    def old_batch(self, numbers: list[int]) -> None:
        """A batch of a program from before the blocks.

        It has no lane after one of this program.
        """
        if all(value is not None and value.isdigit() for _, value, _ in self.log):
            for digest in map(digest_of, numbers):
                if self.model.get(digest, 0) < self.today - HORIZON:
                    self.log.append((*single(digest, self.today), self.today))
                    self.model[digest] = self.today
            self.open()

    def open(self) -> None:
        self.lane = loaded([record[:2] for record in self.log])

    def compact(self, seed: int) -> None:
        """Removes some records whose key a later record has, before the active segment."""
        chance = random.Random(seed)
        end = chance.randint(0, len(self.log))
        last = {key: place for place, (key, _, _) in enumerate(self.log)}
        self.log = [
            record
            for place, record in enumerate(self.log)
            if place >= end or last[record[0]] == place or chance.random() < 0.3
        ]

    def retain(self) -> None:
        """Removes records older than the horizon, up to the first one that is not.

        Their times may come from a clock that is a day ahead.
        """
        while self.log and self.log[0][2] + 1 < self.today - HORIZON:
            del self.log[0]

    def check(self) -> None:
        self.lane.forget_before(self.today - HORIZON)
        for number in range(40):
            digest = digest_of(number)
            assert (digest in self.lane) == (self.model.get(digest, 0) >= self.today - HORIZON)


STEPS = st.one_of(
    st.tuples(
        st.just("batch"),
        st.lists(st.integers(0, 39), max_size=9),
        st.integers(0, 4).map(bool),
        st.integers(0, 1),
    ),
    st.tuples(st.just("old_batch"), st.lists(st.integers(0, 39), max_size=4)),
    st.tuples(st.just("open")),
    st.tuples(st.just("compact"), st.integers(0, 99)),
    st.tuples(st.just("retain")),
    st.tuples(st.just("day"), st.integers(1, 4)),
)


@pytest.mark.usefixtures("few")
@settings(max_examples=by_depth(500, 100))
@given(st.lists(STEPS, max_size=60))
def test_claims_are_what_a_plain_dict_would_say_whatever_happens_between(
    steps: list[tuple[Any, ...]],
) -> None:
    world = World()
    for name, *arguments in steps:
        if name == "day":
            world.today += arguments[0]
        else:
            getattr(world, name)(*arguments)
        world.check()
    world.open()
    world.check()
