from itertools import product

import pytest

from streams.repair.take_over import partitions_with_its_keys

COUNTS = (1, 2, 3, 4, 6, 12, 13, 24)


@pytest.mark.parametrize(("before", "now"), list(product(COUNTS, COUNTS)))
def test_a_new_partition_takes_the_claims_of_every_old_one_that_may_have_had_a_key_of_it(
    before: int, now: int
) -> None:
    had: dict[int, set[int]] = {}
    for hashed in range(before * now):
        had.setdefault(hashed % now, set()).add(hashed % before)
    assert {p: set(partitions_with_its_keys(p, before, now)) for p in range(now)} == had


def test_twice_as_many_partitions_hold_each_claim_twice_and_half_as_many_once() -> None:
    assert sum(len(partitions_with_its_keys(p, 12, 24)) for p in range(24)) == 24
    assert sum(len(partitions_with_its_keys(p, 24, 12)) for p in range(12)) == 24
