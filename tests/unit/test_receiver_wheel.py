import time

import pytest

from connectors.webhooks import wheel
from connectors.webhooks.wheel import NEVER, TICK_SECONDS, DeadlineWheel


class Watched:
    def __init__(self, deadline: float = NEVER) -> None:
        self.deadline = deadline
        self.slot = NEVER
        self.expired_at: list[float] = []

    def expired(self, now: float) -> None:
        self.expired_at.append(now)
        self.deadline = NEVER


@pytest.fixture
def began() -> float:
    return time.monotonic()


def turned(wheel: DeadlineWheel, began: float, seconds: float) -> None:
    """Turns the wheel as its timer does."""
    for tick in range(round(seconds / TICK_SECONDS) + 2):
        wheel.turn(began + tick * TICK_SECONDS)


def test_a_deadline_expires_once_and_at_most_two_ticks_late(began: float) -> None:
    wheel, watched = DeadlineWheel(), Watched(began + 1.0)
    wheel.watch(watched)
    turned(wheel, began, 3.0)
    (at,) = watched.expired_at
    assert began + 1.0 <= at <= began + 1.0 + 2 * TICK_SECONDS


def test_a_deadline_that_was_moved_on_expires_at_its_last_time_only(began: float) -> None:
    wheel, watched = DeadlineWheel(), Watched(began + 0.5)
    wheel.watch(watched)
    watched.deadline = began + 2.0
    wheel.watch(watched)
    turned(wheel, began, 1.5)
    assert watched.expired_at == []
    turned(wheel, began + 1.5, 1.5)
    assert len(watched.expired_at) == 1


def test_an_earlier_deadline_is_noticed_although_a_later_one_was_entered(began: float) -> None:
    wheel, watched = DeadlineWheel(), Watched(began + 60.0)
    wheel.watch(watched)
    watched.deadline = began + 0.3
    wheel.watch(watched)
    turned(wheel, began, 1.0)
    assert len(watched.expired_at) == 1


def test_what_is_forgotten_or_has_no_deadline_is_left_alone(began: float) -> None:
    wheel, forgotten, free = DeadlineWheel(), Watched(began + 0.1), Watched()
    for watched in (forgotten, free):
        wheel.watch(watched)
    wheel.forget(forgotten)
    wheel.forget(forgotten)
    turned(wheel, began, 1.0)
    assert forgotten.expired_at == free.expired_at == []


def test_a_deadline_in_the_past_expires_with_the_next_turn(began: float) -> None:
    wheel, watched = DeadlineWheel(), Watched(began - 5.0)
    wheel.watch(watched)
    turned(wheel, began, 2 * TICK_SECONDS)
    assert len(watched.expired_at) == 1


def test_after_a_long_standstill_everything_that_is_due_expires(began: float) -> None:
    wheel = DeadlineWheel()
    watched = [Watched(began + seconds) for seconds in (0.1, 5.0, 50.0, 500.0)]
    for each in watched:
        wheel.watch(each)
    wheel.turn(began + 100.0)
    assert [len(each.expired_at) for each in watched] == [1, 1, 1, 0]


def test_one_that_fails_does_not_keep_the_others(
    began: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Watched):
        def expired(self, now: float) -> None:
            raise RuntimeError("a bug")

    logged: list[str] = []
    monkeypatch.setattr(wheel.log, "exception", logged.append)
    turning = DeadlineWheel()
    others = [Failing(began), *(Watched(began) for _ in range(20)), Failing(began)]
    for each in others:
        turning.watch(each)
    turned(turning, began, 0.2)
    assert [len(each.expired_at) for each in others[1:-1]] == [1] * 20
    assert logged == ["deadline_failed"] * 2
