"""The oracle detects each broken promise: correct facts pass, and one change makes it fail."""

from dataclasses import replace

import pytest

from tests.chaos.book import Accepted
from tests.chaos.facts import Disturbance, Facts, File, PaidCall, Refused, Row, Stored, Version
from tests.chaos.oracle import PROMISES, broken, in_flight, paid_bound

TEXT, IMAGE, POISON = "a:ycloud:1", "b:ycloud:2", "a:ycloud:sha256-3"
SEEN = File(0, "described", url="/media/b/x.jpg", said="A picture of 64 by 41 pixels")
WHOLE = Facts(
    accepted=(
        Accepted(TEXT, "a", "text", "hola", 1.0),
        Accepted(IMAGE, "b", "image", "64 by 41", 2.0),
        Accepted(POISON, "a", "not_json", None, 3.0),
    ),
    rows=(Row("a", TEXT, 1, "complete", (), "hola"), Row("b", IMAGE, 3, "complete", (SEEN,))),
    versions=(
        Version("a", TEXT, 1, 0, 0),
        Version("b", IMAGE, 1, 1, 0),
        Version("b", IMAGE, 3, 1, 4),
    ),
    quarantined=(Refused("a", POISON, "dedupe", "not_json"),),
    stored=(Stored("b", IMAGE, "ns/media/b/x.jpg"),),
    objects=frozenset({"ns/media/b/x.jpg", "ns/media/b/orphan.jpg"}),
    paid=(PaidCall("describe", "b", 10.0, 11.0),),
    audit={"lost": 0},
)
TEXT_ROW, IMAGE_ROW = WHOLE.rows


def test_a_whole_run_breaks_no_promise() -> None:
    assert broken(WHOLE) == []


BREAKS: dict[str, list[Facts]] = {
    "lost": [replace(WHOLE, rows=(IMAGE_ROW,)), replace(WHOLE, quarantined=())],
    "rows_twice": [replace(WHOLE, rows=(*WHOLE.rows, TEXT_ROW))],
    "twice": [
        replace(WHOLE, versions=(*WHOLE.versions, Version("a", TEXT, 1, 0, 9))),
        replace(WHOLE, versions=WHOLE.versions[1:]),
    ],
    "out_of_order": [
        replace(WHOLE, versions=(*WHOLE.versions, Version("b", IMAGE, 2, 1, 5))),
        replace(WHOLE, versions=(*WHOLE.versions, Version("b", IMAGE, 4, 2, 0))),
    ],
    "row_behind_topic": [replace(WHOLE, rows=(TEXT_ROW, replace(IMAGE_ROW, version=1)))],
    "wrong_tenant": [
        replace(WHOLE, rows=(replace(TEXT_ROW, tenant="b"), IMAGE_ROW)),
        replace(WHOLE, versions=(replace(WHOLE.versions[0], tenant="b"), *WHOLE.versions[1:])),
        replace(WHOLE, stored=(Stored("b", IMAGE, "ns/media/a/x.jpg"),)),
        replace(
            WHOLE,
            rows=(
                TEXT_ROW,
                replace(IMAGE_ROW, files=(replace(SEEN, said="A picture of 64 by 40 pixels"),)),
            ),
        ),
        replace(
            WHOLE, rows=(TEXT_ROW, replace(IMAGE_ROW, files=(replace(SEEN, url="/media/a/x.jpg"),)))
        ),
    ],
    "unexplained": [replace(WHOLE, rows=(*WHOLE.rows, Row("a", "a:ycloud:9", 1, "complete")))],
    "stuck": [replace(WHOLE, rows=(TEXT_ROW, replace(IMAGE_ROW, status="pending")))],
    "degraded": [replace(WHOLE, rows=(TEXT_ROW, replace(IMAGE_ROW, status="degraded")))],
    "enriched": [
        replace(WHOLE, rows=(replace(TEXT_ROW, content="adiós"), IMAGE_ROW)),
        replace(WHOLE, rows=(TEXT_ROW, replace(IMAGE_ROW, files=()))),
        replace(WHOLE, rows=(TEXT_ROW, replace(IMAGE_ROW, files=(SEEN, SEEN)))),
        replace(
            WHOLE, rows=(TEXT_ROW, replace(IMAGE_ROW, files=(replace(SEEN, status="stored"),)))
        ),
        replace(WHOLE, rows=(TEXT_ROW, replace(IMAGE_ROW, files=(replace(SEEN, said=None),)))),
    ],
    "unplanned_quarantine": [
        replace(
            WHOLE, quarantined=(*WHOLE.quarantined, Refused("a", TEXT, "dedupe", "stage_error"))
        ),
        replace(
            WHOLE,
            quarantined=(*WHOLE.quarantined, Refused("a", TEXT, "dedupe", "stage_error")),
            ambiguous=frozenset({TEXT}),
        ),
        replace(
            WHOLE,
            quarantined=(*WHOLE.quarantined, Refused("unknown", "?", "sink", "record_undecodable")),
        ),
    ],
    "wrong_reason": [replace(WHOLE, quarantined=(Refused("a", POISON, "dedupe", "stage_error"),))],
    "files_missing": [
        replace(WHOLE, objects=frozenset()),
        replace(WHOLE, stored=()),
        replace(WHOLE, stored=(*WHOLE.stored, Stored("b", IMAGE, "ns/media/b/orphan.jpg"))),
        replace(WHOLE, rows=(TEXT_ROW, replace(IMAGE_ROW, files=(replace(SEEN, url=None),)))),
    ],
    "paid_too_often": [
        replace(
            WHOLE,
            paid=(*WHOLE.paid, PaidCall("describe", "b", 20.0, 21.0)),
            disturbed=(Disturbance("describe", 15.0),),
        ),
        replace(
            WHOLE,
            paid=(*WHOLE.paid, PaidCall("describe", "b", 20.0, 21.0)),
            disturbed=(Disturbance("transcribe", 10.5),),
        ),
    ],
    "unbalanced": [replace(WHOLE, audit={"lost": 1})],
}


def test_every_promise_has_facts_that_break_it() -> None:
    assert BREAKS.keys() == PROMISES.keys()


@pytest.mark.parametrize(
    ("promise", "facts"),
    [(promise, facts) for promise, several in BREAKS.items() for facts in several],
)
def test_facts_that_break_a_promise_are_found(promise: str, facts: Facts) -> None:
    assert promise in broken(facts)


def test_a_message_that_was_answered_no_2xx_may_be_there_or_not() -> None:
    doubtful = replace(WHOLE, ambiguous=frozenset({"a:ycloud:9"}))
    there = replace(
        doubtful,
        rows=(*WHOLE.rows, Row("a", "a:ycloud:9", 1, "complete")),
        versions=(*WHOLE.versions, Version("a", "a:ycloud:9", 1, 0, 9)),
    )
    assert (broken(doubtful), broken(there)) == ([], [])


def test_a_call_in_flight_at_a_kill_may_be_paid_again() -> None:
    again = replace(
        WHOLE,
        paid=(*WHOLE.paid, PaidCall("describe", "b", 20.0, 21.0)),
        disturbed=(Disturbance("describe", 10.5),),
    )
    assert (in_flight(again, again.disturbed[0]), paid_bound(again), broken(again)) == (1, 2, [])
