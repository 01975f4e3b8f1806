from collections import Counter
from datetime import UTC, datetime

import pytest

from connectors.console.pages.flow import p99
from schemas import metrics
from schemas.metrics import DURATION_BOUNDS
from streams.roles.minute_writer import MinuteOfProcess, ProcessFigures, figures_of

MINUTE = 1_800_000_000.0


def figures(forwarded: int, took: tuple[int, ...] = (0, 0), **more: float) -> ProcessFigures:
    return ProcessFigures(Counter(forwarded=forwarded), took, **more)  # type: ignore[arg-type]


def test_a_minute_counts_what_came_since_it_began_and_the_pace_since_the_last_look() -> None:
    process = MinuteOfProcess("dedupe", figures(100, (7, 0)), MINUTE)
    first = process.look(figures(110, (9, 1)), MINUTE + 5)
    second = process.look(figures(150, (9, 3), unread=4), MINUTE + 15)
    assert (first.records, first.per_second, list(first.took)) == (10, 2.0, [2, 1])
    assert (second.records, second.per_second, list(second.took)) == (50, 4.0, [2, 3])
    assert (second.unread, second.minute) == (4, datetime.fromtimestamp(MINUTE, UTC))


def test_the_next_minute_begins_with_what_came_after_the_last_look_of_the_one_before() -> None:
    process = MinuteOfProcess("dedupe", figures(0), MINUTE)
    process.look(figures(30), MINUTE + 58)
    later = process.look(figures(37), MINUTE + 63)
    assert (later.records, later.minute.timestamp()) == (7, MINUTE + 60)


def test_two_starts_of_a_process_write_two_rows() -> None:
    rows = [MinuteOfProcess("sink", figures(0), MINUTE).look(figures(1), MINUTE + 1) for _ in "12"]
    assert rows[0].member != rows[1].member


def test_the_figures_of_a_stage_are_those_of_its_metrics() -> None:
    before = figures_of("describe")
    metrics.STAGE_RECORDS.labels("describe", "forwarded", "").inc(3)
    metrics.STAGE_RECORDS.labels("describe", "failed", "media_gone").inc()
    metrics.STAGE_RECORDS.labels("transcribe", "failed", "media_gone").inc(9)
    metrics.JOB_SECONDS.labels("describe").observe(0.02)
    metrics.JOB_SECONDS.labels("describe").observe(400)
    metrics.JOBS_WAITING.labels("describe").set(5)
    now = figures_of("describe")
    assert now.outcomes - before.outcomes == Counter(forwarded=3, failed=1)
    assert now.waiting == 5 and len(now.took) == len(DURATION_BOUNDS) + 1
    earlier = before.took or (0,) * len(now.took)
    added = [after - early for after, early in zip(now.took, earlier, strict=True)]
    assert [place for place, count in enumerate(added) if count] == [4, len(DURATION_BOUNDS)]


def test_the_figures_of_the_receiver_are_its_answers() -> None:
    before = figures_of("receive").outcomes
    for status in ("202", "401", "429", "503"):
        metrics.RECEIVER_REQUESTS.labels("ycloud", status).inc()
    now = figures_of("receive").outcomes
    assert now - before == Counter(accepted=1, refused=2, unavailable=1)


@pytest.mark.parametrize(
    ("counts", "seconds"),
    [({}, None), ({1: 100}, 0.00099), ({7: 99, 13: 1}, 0.1), ({16: 5}, 60), ({1: 1, 16: 1}, 60)],
)
def test_p99_lies_within_the_bound_that_holds_it(
    counts: dict[int, int], seconds: float | None
) -> None:
    assert p99(counts) == (None if seconds is None else pytest.approx(seconds))
