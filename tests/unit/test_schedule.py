from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.lanes import jobs
from streams.lanes.jobs import Entry, JobEntries
from streams.lanes.schedule import Schedule
from streams.lanes.state import ClaimedKeys, KeptValues


@dataclass(frozen=True)
class Due:
    tenant: str
    name: int
    due_at: float = 0.0


def scheduled(*entries: Due, per_tenant: int = 16, now: float = 100.0) -> Schedule[Due]:
    schedule: Schedule[Due] = Schedule(per_tenant)
    for entry in entries:
        schedule.add(entry, now)
    return schedule


def taken(schedule: Schedule[Due], now: float = 100.0, free: int = 64) -> list[Due]:
    """All that starts while workers are free."""
    found = []
    while free and (entry := schedule.take(now, free)) is not None:
        found.append(entry)
        free -= 1
    return found


# who is next


def test_tenants_take_turns_and_within_one_the_first_comes_first() -> None:
    a, b, c = ([Due(tenant, name) for name in range(3)] for tenant in "abc")
    assert taken(scheduled(*a, *b, *c[:1])) == [a[0], b[0], c[0], a[1], b[1], a[2], b[2]]


def test_a_tenant_that_comes_late_waits_for_one_job_not_for_a_queue() -> None:
    schedule = scheduled(*(Due("a", name) for name in range(1_000)))
    assert schedule.take(100.0, 1) == Due("a", 0)
    schedule.done("a")
    schedule.add(Due("b", 0), 100.0)
    assert schedule.take(100.0, 1) == Due("a", 1)
    schedule.done("a")
    assert schedule.take(100.0, 1) == Due("b", 0)


def test_a_tenant_runs_no_more_than_its_limit_until_one_is_done() -> None:
    schedule = scheduled(*(Due("a", name) for name in range(5)), per_tenant=2)
    assert taken(schedule) == [Due("a", 0), Due("a", 1)]
    schedule.done("a")
    assert taken(schedule) == [Due("a", 2)]


@pytest.mark.parametrize(("stuck_tenants", "workers"), [(1, 64), (3, 64), (7, 64), (1, 2), (5, 16)])
def test_however_many_tenants_are_stuck_another_one_still_starts_at_once(
    stuck_tenants: int, workers: int
) -> None:
    schedule = scheduled(
        *(Due(f"stuck-{t}", name) for name in range(200) for t in range(stuck_tenants)),
        per_tenant=64,
    )
    running = taken(schedule, free=workers)
    assert len(running) < workers
    schedule.add(Due("well", 0), 100.0)
    assert schedule.take(100.0, workers - len(running)) == Due("well", 0)


def test_nothing_starts_before_it_is_due() -> None:
    schedule = scheduled(Due("a", 1, due_at=130.0), Due("a", 2, due_at=120.0), Due("a", 3))
    assert (taken(schedule), schedule.next_wake(100.0)) == ([Due("a", 3)], 120.0)
    assert (taken(schedule, now=119.9), taken(schedule, now=120.0)) == ([], [Due("a", 2, 120.0)])
    assert schedule.next_wake(120.0) == 130.0


def test_a_held_tenant_waits_and_no_other_does() -> None:
    schedule = scheduled(Due("a", 1), Due("b", 1), Due("a", 2))
    schedule.hold("a", 105.0)
    assert (taken(schedule), schedule.next_wake(100.0)) == ([Due("b", 1)], 105.0)
    assert taken(schedule, now=104.9) == []
    assert taken(schedule, now=105.0) == [Due("a", 1), Due("a", 2)]


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    schedule = scheduled(Due("a", 1))
    schedule.hold("a", 130.0)
    schedule.hold("a", 110.0)
    assert (taken(schedule, now=111.0), schedule.next_wake(111.0)) == ([], 130.0)


def test_there_is_no_time_to_wake_for_a_hold_on_nothing() -> None:
    schedule = scheduled()
    schedule.hold("a", 130.0)
    assert schedule.next_wake(100.0) is None


def test_what_a_lost_lane_had_waiting_is_forgotten() -> None:
    schedule = scheduled(
        Due("a", 1), Due("a", 2), Due("b", 2), Due("a", 2, due_at=120.0), Due("a", 1, due_at=130.0)
    )
    schedule.drop(lambda entry: entry.name == 2)
    assert (taken(schedule), schedule.next_wake(100.0), taken(schedule, now=130.0)) == (
        [Due("a", 1)],
        130.0,
        [Due("a", 1, 130.0)],
    )


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0.0, 110.0, 120.0])), max_size=60),
    st.integers(1, 5),
    st.integers(1, 12),
)
def test_every_job_starts_exactly_once_and_within_the_limits(
    jobs: list[tuple[str, float]], per_tenant: int, workers: int
) -> None:
    entries = [Due(tenant, name, due_at) for name, (tenant, due_at) in enumerate(jobs)]
    schedule = scheduled(*entries, per_tenant=per_tenant)
    started: list[Due] = []
    for now in (100.0, 115.0, 125.0):
        while running := taken(schedule, now, workers):
            assert all(entry.due_at <= now for entry in running)
            assert all(
                count <= per_tenant for count in Counter(entry.tenant for entry in running).values()
            )
            started += running
            for entry in running:
                schedule.done(entry.tenant)
    assert sorted(started, key=lambda entry: entry.name) == entries
    assert schedule.next_wake(125.0) is None


# the durable queue


class Record:
    """A changelog record as the client gives it."""

    def __init__(self, key: bytes, value: bytes | None) -> None:
        self._key, self._value = key, value

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value


def entry(tenant: str = "acme", value: bytes | None = b"job", **fields: float) -> Entry:
    return Entry(tenant, b"acme:ycloud:1", [("tenant", tenant.encode())], value, 100.0, **fields)  # type: ignore[arg-type]


def test_unfinished_jobs_come_back_from_the_changelog_in_order_of_admission() -> None:
    live = JobEntries()
    changelog: list[tuple[bytes, bytes | None]] = [
        live.put(offset, entry()) for offset in (3, 1, 2)
    ]
    changelog += [
        live.put(1, entry(attempt=4, first_attempt_at=101.0, due_at=160.0)),
        live.remove(3),
        live.put(9, entry("zoo", None)),
    ]
    again = JobEntries()
    assert (
        again.load(
            [
                [Record(*record) for record in changelog[:4]],
                [],
                [Record(*record) for record in changelog[4:]],
            ]
        )
        == 6
    )  # type: ignore[misc]
    assert again.entries == live.entries
    assert list(again.entries) == [1, 2, 9]
    assert (len(again), again.entries[1].attempt, again.entries[9].value) == (3, 4, None)


def test_a_removed_job_leaves_a_tombstone() -> None:
    live = JobEntries()
    key, value = live.put(7, entry())
    assert value is not None
    assert (live.remove(7), len(live)) == ((key, None), 0)


def test_a_lane_holds_a_bounded_number_of_bodies_and_one_tenant_a_quarter_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "FULL_ENTRIES", 8)
    live = JobEntries()
    offsets = iter(range(100))

    def fill(tenant: str) -> list[int]:
        mine = []
        while live.has_room_for_body(tenant):
            mine.append(next(offsets))
            live.put(mine[-1], entry(tenant))
        return mine

    first = fill("a")
    assert (len(first), live.has_room_for_body("b")) == (2, True)
    live.put(next(offsets), entry("a", None))
    assert [len(fill(tenant)) for tenant in "bcde"] == [2, 2, 2, 0]
    live.put(first[0], entry("a", attempt=1))  # postponed, not one more
    assert not live.has_room_for_body("a")
    live.remove(first[0])
    assert (live.has_room_for_body("a"), live.has_room_for_body("e")) == (True, True)


def test_bodies_loaded_from_the_changelog_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FULL_ENTRIES", 4)
    live = JobEntries()
    again = JobEntries()
    again.load([[Record(*live.put(1, entry()))]])  # type: ignore[list-item]
    assert (again.has_room_for_body("acme"), again.has_room_for_body("zoo")) == (False, True)


# claims


def test_a_claim_is_remembered_and_comes_back_from_the_changelog() -> None:
    live = ClaimedKeys()
    changelog = [live.claim(b"a", 10), live.claim(b"b", 11), live.claim(b"c", 10)]
    again = ClaimedKeys()
    assert again.load([[Record(*record) for record in changelog]]) == 3  # type: ignore[misc]
    for keys in (live, again):
        assert [digest in keys for digest in (b"a", b"b", b"c", b"d")] == [True, True, True, False]
        assert len(keys) == 3


def test_only_days_beyond_the_horizon_are_forgotten() -> None:
    keys = ClaimedKeys()
    for day in (9, 10, 11):
        keys.claim(b"%d" % day, day)
    keys.forget_before(10)
    assert [digest in keys for digest in (b"9", b"10", b"11")] == [False, True, True]
    keys.claim(b"9", 11)
    assert b"9" in keys


def test_kept_values_are_the_newest_and_a_tombstone_removes() -> None:
    live = KeptValues()
    changelog = [
        live.put(b"a", b"1"),
        live.put(b"b", b"1"),
        live.put(b"a", b"2"),
        live.put(b"b", None),
        live.put(b"c", None),
    ]
    again = KeptValues()
    assert again.load([[Record(*record) for record in changelog]]) == 5  # type: ignore[misc]
    assert (dict(again.items()), again.get(b"a"), again.get(b"b"), len(live)) == (
        {b"a": b"2"},
        b"2",
        None,
        1,
    )
