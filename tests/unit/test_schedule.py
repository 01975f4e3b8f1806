from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.lanes import schedule as schedule_module
from streams.lanes.schedule import Schedule
from streams.lanes.state import KeptValues


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
    """All jobs that start while workers are free."""
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


def test_a_decision_does_not_look_at_the_tenants_that_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schedule = scheduled()
    looked = 0
    is_held = schedule._is_held

    def counting(tenant: str, now: float) -> bool:
        nonlocal looked
        looked += 1
        return is_held(tenant, now)

    for number in range(2_000):
        schedule.hold(f"t{number}", 500.0)
        schedule.add(Due(f"t{number}", number), 100.0)
    schedule.add(Due("well", 0), 100.0)
    monkeypatch.setattr(schedule, "_is_held", counting)
    assert schedule.take(100.0, 8) == Due("well", 0)
    assert (schedule.take(100.0, 8), schedule.next_wake(100.0), looked) == (None, 500.0, 1)


def test_tenants_that_are_held_while_they_wait_are_looked_at_once() -> None:
    schedule = scheduled(*(Due(f"t{number}", number) for number in range(100)))
    for number in range(100):
        schedule.hold(f"t{number}", 200.0 + number)
    assert schedule.take(100.0, 8) is None and len(schedule._turn) == 0
    assert schedule.next_wake(100.0) == 200.0
    assert taken(schedule, now=210.0) == [Due(f"t{number}", number) for number in range(11)]
    schedule.hold("t11", 300.0)  # longer than before
    assert taken(schedule, now=211.0) == [] and schedule.next_wake(211.0) == 212.0
    assert taken(schedule, now=300.0, free=100)[-1] == Due("t11", 11)


def test_when_everything_becomes_due_at_once_it_is_taken_in_portions() -> None:
    schedule = scheduled(*(Due(f"t{number}", number, 110.0) for number in range(1_000)))
    first = schedule.take(120.0, 8)
    assert first is not None and len(schedule._later) == 1_000 - schedule_module.MOVES_AT_ONCE
    assert schedule.next_wake(120.0) == 110.0, "it looks again at once"
    found = [first]
    while (entry := schedule.take(120.0, 8)) is not None:
        found.append(entry)
    assert sorted(entry.name for entry in found) == list(range(1_000))


def test_the_hold_of_a_tenant_whose_jobs_were_lost_wakes_nothing() -> None:
    schedule = scheduled(Due("a", 1))
    schedule.hold("a", 130.0)
    assert schedule.take(100.0, 8) is None and schedule.next_wake(100.0) == 130.0
    schedule.drop(lambda entry: True)
    assert schedule.next_wake(100.0) is None
    schedule.add(Due("a", 2), 100.0)
    assert (schedule.take(100.0, 8), schedule.next_wake(100.0)) == (None, 130.0)
    assert schedule.take(130.0, 8) == Due("a", 2)


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


class Record:
    """A changelog record as the client returns it."""

    def __init__(self, key: bytes, value: bytes | None) -> None:
        self._key, self._value = key, value

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value


# values


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
