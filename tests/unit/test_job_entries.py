import asyncio
import time
from collections.abc import Iterator
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from streams.lanes import job_entries, jobs
from streams.lanes.entries import Entry, waiting_since
from streams.lanes.in_flight import InFlightRecord
from streams.lanes.job_entries import JobEntries
from streams.lanes.jobs import JobIntake, Jobs


class Record:
    """A changelog record as the client returns it."""

    def __init__(self, key: bytes, value: bytes | None) -> None:
        self._key, self._value = key, value

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value


def entry(tenant: str = "acme", value: bytes | None = b"job", **fields: float) -> Entry:
    return Entry(tenant, b"acme:ycloud:1", [("tenant", tenant.encode())], value, 100.0, **fields)  # type: ignore[arg-type]


def test_unfinished_jobs_come_back_from_the_changelog_in_order_of_offsets() -> None:
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
    assert again.packed == {offset: live.packed[offset] for offset in (1, 2, 9)}
    assert list(again.packed) == [1, 2, 9]
    assert (len(again), again.entry(1).attempt, again.entry(9).value) == (3, 4, None)
    assert (again.bytes, again.body_bytes) == (live.bytes, live.body_bytes)


def test_a_removed_job_leaves_a_tombstone() -> None:
    live = JobEntries()
    key, value = live.put(7, entry())
    assert value is not None
    assert (live.remove(7), len(live)) == ((key, None), 0)


class Desk:
    def __init__(self) -> None:
        self.handed_out: list[Any] = []

    def hand_out(self, job: Any) -> None:
        self.handed_out.append(job)


def intake(*states: JobEntries, queue_bytes: int = 1_000) -> JobIntake:
    workers = Jobs(Desk(), 4, 4)  # type: ignore[arg-type]
    made = JobIntake(workers, lambda *_: None, None, InFlightRecord(), queue_bytes)  # type: ignore[arg-type]
    made._states = {SimpleLane(state): state for state in states}  # type: ignore[misc]
    return made


class SimpleLane(SimpleNamespace):
    def __init__(self, state: JobEntries) -> None:
        super().__init__(state=state, stopping=False, partition=0)

    def __hash__(self) -> int:
        return id(self)


def fill(made: JobIntake, state: JobEntries, tenant: str, offsets: Iterator[int]) -> int:
    """Adds entries with a body of ten bytes while the tenant has room. Returns their number."""
    count = 0
    while made.has_room_for_body(tenant, 10):
        state.put(next(offsets), entry(tenant, b"x" * 10))
        count += 1
    return count


def test_a_process_holds_bodies_in_half_of_its_budget_and_one_tenants_in_a_quarter_of_that() -> (
    None
):
    first, second = JobEntries(), JobEntries()
    made, offsets = intake(first, second), iter(range(1_000))
    assert fill(made, first, "a", offsets) == 10  # 125 bytes, of 12 each
    assert fill(made, second, "a", offsets) == 0, "the same tenant in another lane"
    assert [fill(made, second, tenant, offsets) for tenant in "bcde"] == [10, 10, 10, 1]
    first.put(0, entry("a", b"x" * 10, attempt=1))  # postponed, not one more
    assert not made.has_room_for_body("a", 10)
    first.remove(0)
    assert made.has_room_for_body("a", 10)
    made.dropped(next(lane for lane, state in made._states.items() if state is second))
    assert made.has_room_for_body("z", 10) and made.held_bytes == first.bytes


async def test_a_process_that_is_given_several_full_queues_reads_nothing_until_it_has_room_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0.0)
    states = [JobEntries() for _ in range(3)]
    for state, tenant in zip(states, "abc", strict=True):
        for offset in range(3):
            state.put(offset, entry(tenant, b"x" * 100))
    made = intake(*states, queue_bytes=1_000)
    assert made.held_bytes == sum(state.bytes for state in states)
    assert all(state.bytes > 1_000 for state in states), "each of them is a full queue"
    assert not made.has_room_for_body("z", 1)

    lane, fetched = next(iter(made._states)), asyncio.Event()

    async def fetch() -> list[Any]:
        fetched.set()
        lane.stopping = True
        return []

    lane.fetch = fetch  # type: ignore[method-assign]
    running = asyncio.create_task(made.run(lane))
    for state, offset in product(reversed(states), range(3)):
        for _ in range(20):
            await asyncio.sleep(0)
        assert made.paused == {0} and not fetched.is_set()
        state.remove(offset)
        if made.held_bytes < 1_000:
            break
    async with asyncio.timeout(5):
        await running
    assert fetched.is_set() and made.paused == set()


def test_what_entries_take_is_counted_however_they_come_and_go() -> None:
    live = JobEntries()
    changelog = [live.put(1, entry()), live.put(2, entry("zoo", b"y" * 3_000))]
    before = live.bytes
    live.put(1, entry(attempt=3, due_at=5.0))
    live.put(3, entry(value=None))
    live.remove(3)
    again = JobEntries()
    again.load([[Record(*record) for record in changelog]])  # type: ignore[misc]
    assert (
        again.bytes == before == sum(len(value) + job_entries.ENTRY_BYTES for _, value in changelog)
    )
    for offset in (1, 2):
        live.remove(offset)
    assert (live.bytes, live.body_bytes, live._body_bytes_of) == (0, 0, {})


def test_bodies_beyond_the_budget_of_a_load_are_left_to_be_read_again() -> None:
    live = JobEntries()
    changelog = [live.put(offset, entry(value=b"x" * 1_000)) for offset in range(20)]
    again = JobEntries(load_bytes=10_000)
    again.load([[Record(*record) for record in changelog]])  # type: ignore[misc]
    kept = [again.entry(offset).value is not None for offset in range(20)]
    assert kept == [True] * 4 + [False] * 16
    assert again.entry(19) == entry(value=None) and again.body_bytes <= 5_000
    _, packed = again.put(19, entry(value=None, attempt=1))
    assert packed == again.packed[19]


def test_the_oldest_job_is_told_without_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    state = JobEntries()
    assert state.oldest_admitted_at() is None
    for offset in range(100):
        state.put(offset, Entry("acme", b"", [], b"", 100.0 + offset))
    state.put(0, Entry("acme", b"", [], b"", 100.0, attempt=5))
    looks = 0
    glance = job_entries.glance

    def counting(packed: bytes) -> Any:
        nonlocal looks
        looks += 1
        return glance(packed)

    monkeypatch.setattr(job_entries, "glance", counting)
    assert (state.oldest_admitted_at(), looks) == (100.0, 1)


async def test_a_lane_that_opens_with_many_jobs_lets_others_work_meanwhile() -> None:
    state = JobEntries()
    for offset in range(5_000):
        state.put(offset, entry(f"t{offset % 100}"))
    made, lane = intake(state), SimpleLane(state)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    working = asyncio.create_task(others())
    await made._admit_loaded(lane, state)  # type: ignore[arg-type]
    working.cancel()
    assert turns >= 10
    schedule = made._jobs.schedule
    assert sum(map(len, schedule._ready.values())) + 4 == 5_000


async def test_a_lane_that_is_lost_while_it_opens_schedules_no_more() -> None:
    state = JobEntries()
    for offset in range(2_000):
        state.put(offset, entry(f"t{offset % 100}"))
    made, lane = intake(state), SimpleLane(state)
    opening = asyncio.create_task(made._admit_loaded(lane, state))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    lane.stopping = True
    made.dropped(lane)  # type: ignore[arg-type]
    await opening
    assert made._jobs.schedule.take(time.monotonic(), 4) is None


def test_an_entry_with_an_empty_body_is_not_a_stub() -> None:
    state = JobEntries()
    state.put(1, entry(value=b""))
    state.put(2, entry(value=None))
    assert (state.entry(1).value, state.entry(2).value) == (b"", None)
    assert state.body_bytes == 2


@pytest.mark.parametrize(
    ("found", "now", "since"),
    [
        (entry(), 500.0, 500.0),  # never tried
        (entry(first_attempt_at=100.0, due_at=160.0), 161.0, 100.0),  # tried when it was due
        (entry(first_attempt_at=100.0, due_at=160.0), 86_560.0, 86_500.0),  # a day without a stage
        (entry(first_attempt_at=100.0, due_at=160.0), 50.0, 100.0),  # a clock that was set back
        (entry(first_attempt_at=100.0), 900.0, 100.0),  # of a release that did not write when
    ],
)
def test_patience_does_not_count_the_time_in_which_nobody_could_try(
    found: Entry, now: float, since: float
) -> None:
    assert waiting_since(found, now) == since
