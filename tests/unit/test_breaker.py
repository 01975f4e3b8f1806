from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.reasons import QuarantineReason
from schemas.settings import BreakerSettings as Limits
from streams.lanes.breaker import (
    EARNED_BY_THE_BODY,
    HEARD_SECONDS,
    OWN_TENANTS,
    SHARED,
    Breaker,
)

LIMITS = Limits(consecutive=5, ratio=0.5, window_records=20)
REAL = Limits()


def breaker(*records: tuple[str, int, bool], limits: Limits = LIMITS, at: float = 0.0) -> Breaker:
    """A breaker that got this many records per tenant, quarantined or not."""
    made = Breaker(limits)
    for tenant, count, is_bad in records:
        for _ in range(count):
            made.add(tenant.encode(), is_bad, at)
    return made


def who(made: Breaker, now: float = 0.0) -> str | None:
    """The tenant for which the stage would stop, `several` if there are more, or None."""
    trouble = made.trouble(now)
    if trouble is None:
        return None
    return trouble.tenant.decode() if isinstance(trouble.tenant, bytes) else "several"


@pytest.mark.parametrize(
    ("records", "against"),
    [
        ([], None),
        ([("a", 100, False)], None),
        ([("a", 4, True)], None),
        ([("a", 5, True)], "a"),
        ([("a", 4, True), ("a", 1, False), ("a", 4, True)], "a"),  # eight of nine: the ratio
        ([("a", 10, False), ("a", 4, True)], None),
        ([("a", 10, False), ("a", 5, True)], "a"),
        ([("a", 20, True), ("b", 1, False)], None),
        ([("a", 20, True), ("b", 5, True)], "several"),
        ([("a", 20, True), ("b", 1, True)], "several"),
        ([("a", 20, True), ("b", 1, True), ("c", 1, False)], None),
        ([("a", 20, True), ("b", 1, True), ("c", 1, True), ("d", 1, False)], "several"),
        ([("a", 20, True), ("b", 1, False), ("c", 1, False), ("d", 1, True)], None),
    ],
    ids=[
        "nothing", "all good", "four in a row", "five in a row", "the ratio", "below both", "good before", "one bad tenant beside a good one",
        "two bad tenants", "a bad and a suspicious one", "a bad one, a suspicious one and a good one", "more bad than good without one of them",
        "as many good as bad",
    ],
)  # fmt: skip
def test_a_stage_stops_for_what_hits_more_tenants_than_it_spares_and_never_for_one_tenant(
    records: list[tuple[str, int, bool]], against: str | None
) -> None:
    assert who(breaker(*records)) == against


def test_twenty_tenants_that_are_quiet_for_a_while_do_not_leave_the_stage_to_one() -> None:
    made = breaker(*((f"t{n}", 100, False) for n in range(20)), limits=REAL)
    later = HEARD_SECONDS + 1
    for _ in range(1_000):
        made.add(b"hostile", True, later)
    assert who(made, later) == "hostile"
    assert made.fails(b"hostile")
    made.add(b"t1", True, later)
    assert who(made, later) == "several"
    made.add(b"t1", False, later)
    assert who(made, later) is None


def test_a_tenant_whose_records_pass_again_fails_no_more() -> None:
    made = breaker(("a", 20, True))
    assert made.fails(b"a")
    for _ in range(11):
        made.add(b"a", False, 0.0)
    assert not made.fails(b"a") and not made.fails(b"unknown")


def test_what_a_body_earns_is_told_by_reasons_that_exist() -> None:
    assert set(get_args(QuarantineReason)) - EARNED_BY_THE_BODY == {
        "identifier_mismatch",
        "process_killer",
        "provider_unknown",
        "record_undecodable",
        "record_unstorable",
        "stage_error",
        "tenant_unknown",
    }
    assert set(get_args(QuarantineReason)) > EARNED_BY_THE_BODY


def test_the_ratio_is_that_of_the_last_records_only() -> None:
    made = breaker(
        ("a", 1_000, False),
        ("a", 3, True),
        ("a", 1, False),
        ("a", 3, True),
        ("a", 1, False),
        ("a", 4, True),
    )
    assert made.trouble(0.0) is not None


def test_who_was_not_heard_lately_has_no_say() -> None:
    made = breaker(("quiet", 10, False))
    for _ in range(5):
        made.add(b"bad", True, HEARD_SECONDS + 1)
    assert who(made, HEARD_SECONDS + 1) == "bad"


def test_without_limits_nothing_stops() -> None:
    assert breaker(("a", 1_000, True), limits=Limits(consecutive=0)).trouble(0.0) is None


def test_after_it_was_told_to_forget_only_what_comes_counts() -> None:
    made = breaker(("a", 5, True))
    made.forget()
    made.add(b"a", True, 0.0)
    assert made.trouble(0.0) is None


def records_until_it_stops(
    tenants: int, is_bad: Callable[[int], bool], at_most: int, limits: Limits = REAL
) -> int:
    """How many records of a bad release come before the stage stops.

    Tenants take turns, and all records before were good.
    """
    made = breaker(*((f"t{n}", 1, False) for n in range(tenants)), limits=limits)
    for n in range(at_most):
        made.add(b"t%d" % (n % tenants), is_bad(n), 0.0)
        if who(made) == "several":
            return n + 1
    raise AssertionError(f"not after {at_most} records")


@pytest.mark.parametrize("tenants", [2, 20, 60, 1_000, 5_000])
def test_what_refuses_everybody_stops_promptly_however_many_they_are(tenants: int) -> None:
    assert records_until_it_stops(tenants, lambda n: True, 2_000) <= REAL.consecutive + tenants / 2


@pytest.mark.parametrize(
    "tenants", [2, 20, 300, 1_100, pytest.param(5_000, marks=pytest.mark.thorough)]
)
def test_what_refuses_most_records_of_everybody_stops_however_many_they_are(tenants: int) -> None:
    assert records_until_it_stops(tenants, lambda n: n % 4 != 0, 20_000) < 15_000


def test_in_a_stage_without_tenants_so_far_so_many_in_a_row_are_enough_from_any_tenants() -> None:
    made = Breaker(REAL)
    for n in range(REAL.consecutive):
        assert made.trouble(0.0) is None
        made.add(b"t%d" % n, True, 0.0)
    assert made.trouble(0.0) is not None


def test_a_good_record_between_them_starts_the_row_again() -> None:
    made = Breaker(REAL)
    for n in range(10 * REAL.consecutive):
        made.add(b"t%d" % n, n % REAL.consecutive != 0, 0.0)
        assert made.trouble(0.0) is None


def test_a_flood_of_one_tenants_rubbish_stops_nobody_among_a_thousand_others() -> None:
    made = breaker(*((f"t{n}", 1, False) for n in range(2_000)), limits=REAL)
    for n in range(2_000):
        made.add(b"t1999", True, 0.0)
        if n % 10 == 0:
            made.add(b"t%d" % (n % 1_999), n % 100 == 0, 0.0)
        assert made.trouble(0.0) is None


def test_it_remembers_a_bounded_number_of_tenants_and_never_forgets_one_for_another() -> None:
    made = breaker(*((f"t{n}", 1, False) for n in range(10_000)))
    assert len(made._tenants) <= OWN_TENANTS + SHARED
    assert (
        sum(len(recent.last) for recent in made._tenants.values())
        == OWN_TENANTS + SHARED * LIMITS.window_records
    )


@given(st.lists(st.booleans(), max_size=60))
def test_one_good_tenant_beside_it_is_enough_whatever_another_sends(records: list[bool]) -> None:
    made = breaker(("good", 1, False))
    for is_bad in records:
        made.add(b"other", is_bad, 0.0)
    assert made.trouble(0.0) is None
