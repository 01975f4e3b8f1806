from datetime import UTC, datetime, timedelta

import pytest

from connectors.console.pages.versions import OPENING_STEPS, missing_from, moments_of
from streams.roles.other_roles import spans_of
from streams.stages import message

AT = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "newest", "missing"),
    [
        ({1}, 1, ""),
        ({1, 2, 3}, 3, ""),
        ({1, 3}, 3, "2"),
        ({2, 6}, 7, "1, 3–5, 7"),
        ({1, 2, 7_001}, 7_001, ""),  # a repair begins at the first number of its generation
        ({1, 2, 201}, 201, ""),  # so does a delivery that brought a missing file
        ({1, 7_003}, 7_003, "7001–7002"),
        ({1, 2}, 9_001, "9001"),
    ],
)
def test_versions_that_must_exist_and_were_not_found_are_named(
    found: set[int], newest: int, missing: str
) -> None:
    assert missing_from(found, newest) == missing


def test_an_opening_has_as_many_numbers_as_assemble_gives_it() -> None:
    assert OPENING_STEPS == message.OPENING_STEPS
    assert all(message.opening_version(7, nth) % OPENING_STEPS == 1 for nth in range(5))


def test_of_a_pipeline_that_was_behind_everything_up_to_the_lag_is_looked_at() -> None:
    steps, written = [AT, AT + timedelta(seconds=3)], AT + timedelta(minutes=10)
    spans = spans_of(moments_of(steps, written))
    assert len(spans) == 1, "no hole in which an intermediate version could lie"
    begin, end = spans[0]
    assert begin <= AT.timestamp() * 1000 and end >= (written.timestamp() + 60) * 1000


def test_of_a_pipeline_that_kept_up_only_its_moments_are_looked_at() -> None:
    steps = [AT, AT + timedelta(hours=5)]
    assert moments_of(steps, steps[-1] + timedelta(seconds=2)) == [
        *steps,
        steps[-1] + timedelta(seconds=2),
    ]
    assert moments_of([], AT) == [AT]
    assert len(moments_of([AT], AT + timedelta(days=30))) < 70
