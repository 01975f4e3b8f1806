import time

import pytest

from storage import waiting
from storage.waiting import BackOff, Deadline


def test_a_deadline_passes_once_its_seconds_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now)
    deadline = Deadline(5.0)
    assert (deadline.has_passed, deadline.left) == (False, 5.0)
    now = 104.5
    assert (deadline.has_passed, deadline.left) == (False, 0.5)
    now = 105.0
    assert (deadline.has_passed, deadline.left) == (True, 0.0)
    now = 200.0
    assert (deadline.has_passed, deadline.left) == (True, 0.0)


def test_a_deadline_of_no_seconds_has_passed() -> None:
    assert Deadline(0).has_passed


def test_a_clock_on_the_wall_that_is_set_does_not_move_a_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deadline = Deadline(60.0)
    monkeypatch.setattr(time, "time", lambda: 1e12)
    assert not deadline.has_passed


def test_pauses_double_up_to_the_longest_and_begin_again_after_a_success() -> None:
    pauses = BackOff(0.5, 3.0)
    assert [pauses.pause() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    pauses.reset()
    assert [pauses.pause() for _ in range(2)] == [0.5, 1.0]


def test_a_pause_is_also_known_by_the_number_of_those_before_it() -> None:
    pauses = BackOff(0.5, 3.0)
    assert [pauses.pause_after(count) for count in (0, 1, 2, 3, 10_000)] == [
        BackOff(0.5, 3.0).pause(),
        1.0,
        2.0,
        3.0,
        3.0,
    ]
