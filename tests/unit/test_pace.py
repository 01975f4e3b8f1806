import pytest

from streams.lanes.pace import Pace, Rhythm


def after(*transactions: float, pace: Pace) -> Rhythm:
    rhythm = Rhythm(pace)
    for seconds in transactions:
        rhythm.took(seconds)
    return rhythm


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
