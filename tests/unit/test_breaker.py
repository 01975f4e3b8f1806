import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.settings import Breaker as Limits
from streams.lanes.breaker import HEARD_SECONDS, MAX_TENANTS, Breaker

LIMITS = Limits(consecutive=5, ratio=0.5, window_records=20)


def breaker(*records: tuple[str, int, bool], limits: Limits = LIMITS, at: float = 0.0) -> Breaker:
    """Tenant, how many, and whether they were quarantined."""
    made = Breaker(limits)
    for tenant, count, is_bad in records:
        for _ in range(count):
            made.add(tenant.encode(), is_bad, at)
    return made


@pytest.mark.parametrize(
    ("records", "stops"),
    [
        ([], False),
        ([("a", 100, False)], False),
        ([("a", 4, True)], False),
        ([("a", 5, True)], True),
        ([("a", 4, True), ("a", 1, False), ("a", 4, True)], True),  # eight of nine: the ratio
        ([("a", 10, False), ("a", 4, True)], False),
        ([("a", 10, False), ("a", 5, True)], True),
        ([("a", 20, True), ("b", 1, False)], False),
        ([("a", 20, True), ("b", 5, True)], True),
        ([("a", 20, True), ("b", 1, True)], True),
        ([("a", 20, True), ("b", 1, True), ("c", 1, False)], True),
        ([("a", 20, True), ("b", 1, False), ("c", 1, False), ("d", 1, True)], False),
    ],
    ids=[
        "nothing", "all good", "four in a row", "five in a row", "the ratio", "below both", "good before", "one bad tenant beside a good one",
        "two bad tenants", "a bad and a suspicious one", "more bad than good", "as many good as bad",
    ],
)  # fmt: skip
def test_a_stage_stops_for_what_hits_more_tenants_than_it_spares(records: list[tuple[str, int, bool]], stops: bool) -> None:
    assert (breaker(*records).trouble(0.0) is not None) == stops


def test_the_ratio_is_that_of_the_last_records_only() -> None:
    made = breaker(("a", 1_000, False), ("a", 3, True), ("a", 1, False), ("a", 3, True), ("a", 1, False), ("a", 4, True))
    assert made.trouble(0.0) is not None


def test_who_was_not_heard_lately_has_no_say() -> None:
    made = breaker(("quiet", 10, False))
    for _ in range(5):
        made.add(b"bad", True, HEARD_SECONDS + 1)
    assert made.trouble(HEARD_SECONDS + 1) is not None


def test_without_limits_nothing_stops() -> None:
    assert breaker(("a", 1_000, True), limits=Limits(consecutive=0)).trouble(0.0) is None


def test_after_it_was_told_to_forget_only_what_comes_counts() -> None:
    made = breaker(("a", 5, True))
    made.forget()
    made.add(b"a", True, 0.0)
    assert made.trouble(0.0) is None


def test_it_remembers_a_bounded_number_of_tenants() -> None:
    made = breaker(*((f"t{n}", 1, False) for n in range(MAX_TENANTS + 10)))
    assert len(made._tenants) == MAX_TENANTS


@given(st.lists(st.booleans(), max_size=60))
def test_one_good_tenant_beside_it_is_enough_whatever_another_sends(records: list[bool]) -> None:
    made = breaker(("good", 1, False))
    for is_bad in records:
        made.add(b"other", is_bad, 0.0)
    assert made.trouble(0.0) is None
