from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.lanes.pace import Pace, Rhythm


def after(*transactions: float, pace: Pace) -> Rhythm:
    rhythm = Rhythm(pace)
    for seconds in transactions:
        rhythm.took(seconds)
    return rhythm


def waits(rhythm: Rhythm, at: float, times: int) -> list[float]:
    """How long each of some transactions waits if all want to begin at the same time."""
    found = []
    for _ in range(times):
        found.append(rhythm.left(at))
        at += found[-1]
        rhythm.begins(at)
    return found


def beginnings(rhythm: Rhythm, rests: list[float]) -> list[float]:
    """When transactions begin that want to begin some seconds after the one before them."""
    now, begun = 10.0, []
    for rest in rests:
        now += rest
        now += rhythm.left(now)
        rhythm.begins(now)
        begun.append(now)
    return begun


def test_the_first_transaction_of_a_lane_begins_at_once() -> None:
    assert Rhythm(Pace(0.02)).left(123.0) == 0.0


def test_a_lane_that_was_idle_for_longer_than_its_gap_begins_at_once() -> None:
    rhythm = Rhythm(Pace(0.02))
    rhythm.begins(10.0)
    assert rhythm.left(10.005) == pytest.approx(0.015)
    assert rhythm.left(10.03) == 0.0


@pytest.mark.parametrize(
    ("seconds", "gap"),
    [(0.001, 0.02), (0.01, 0.04), (0.019, 0.076), (0.03, 0.1), (9.0, 0.1)],
)
def test_the_gap_follows_how_long_transactions_take_within_its_bounds(
    seconds: float, gap: float
) -> None:
    assert after(*[seconds] * 100, pace=Pace(0.02)).gap_seconds == pytest.approx(gap, rel=0.01)


def test_one_slow_transaction_among_quick_ones_does_not_slow_the_lane_down_for_long() -> None:
    rhythm = after(*[0.004] * 100, 9.0, *[0.004] * 16, pace=Pace(0.02))
    assert rhythm.gap_seconds < 0.035


def test_a_pace_whose_shortest_gap_is_the_longer_one_keeps_it() -> None:
    assert after(0.001, pace=Pace(0.3)).gap_seconds == 0.3


def test_a_rested_lane_begins_its_burst_at_once_and_then_one_per_gap() -> None:
    found = waits(Rhythm(Pace(0.02, burst=3)), 10.0, 6)
    assert found == pytest.approx([0, 0, 0, 0.02, 0.02, 0.02])


def test_a_lane_earns_its_burst_back_gap_by_gap() -> None:
    rhythm = Rhythm(Pace(0.02, burst=3))
    waits(rhythm, 10.0, 3)
    assert waits(rhythm, 10.04, 3) == pytest.approx([0, 0, 0.02])


def test_no_rest_earns_more_than_a_burst() -> None:
    rhythm = Rhythm(Pace(0.02, burst=2))
    waits(rhythm, 10.0, 2)
    assert waits(rhythm, 1_000.0, 3) == pytest.approx([0, 0, 0.02])


def test_transactions_that_did_not_wait_leave_no_debt() -> None:
    rhythm = Rhythm(Pace(0.02))
    for _ in range(100):
        rhythm.begins(10.0)
    assert rhythm.left(10.0) == pytest.approx(0.02)


@given(
    st.integers(1, 4),
    st.lists(st.floats(0, 0.3), min_size=1, max_size=60),
    st.floats(0.0005, 0.05),
)
def test_a_burst_does_not_raise_the_rate_that_a_lane_sustains(
    burst: int, rests: list[float], took: float
) -> None:
    rhythm = after(*[took] * 50, pace=Pace(0.02, burst=burst))
    ended = beginnings(rhythm, rests)[-1]
    assert len(rests) <= (ended - 10.0) / rhythm.gap_seconds + burst + 1e-6


@given(st.lists(st.floats(0, 0.3), max_size=40))
def test_without_a_burst_each_transaction_keeps_its_gap_from_the_one_before(
    rests: list[float],
) -> None:
    rhythm = after(*[0.01] * 50, pace=Pace(0.02))
    begun = beginnings(rhythm, rests)
    assert all(later - one >= rhythm.gap_seconds - 1e-9 for one, later in pairwise(begun))
