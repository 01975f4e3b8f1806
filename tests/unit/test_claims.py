import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.lanes import state
from streams.lanes.state import ClaimedKeys
from tests.depth import by_depth


class Record:
    """A changelog record as the client gives it."""

    def __init__(self, key: bytes, value: bytes | None) -> None:
        self._key, self._value = key, value

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets from the fifth id of a day on, so that small cases meet them."""
    monkeypatch.setattr(state, "SET_IDS", 4)


def test_many_claims_of_several_days_are_all_remembered_and_nothing_else_is() -> None:
    daily = by_depth(50_000, 10_000)
    claimed = [os.urandom(16) for _ in range(3 * daily)]
    live, again = ClaimedKeys(), ClaimedKeys()
    changelog = [live.claim(digest, 10 + n // daily) for n, digest in enumerate(claimed)]
    records = [Record(*record) for record in changelog]
    portions = [records[start : start + 7_001] for start in range(0, len(records), 7_001)]
    assert again.load(portions) == 3 * daily  # type: ignore[arg-type]
    strangers = [os.urandom(16) for _ in range(20_000)]
    neighbours = [digest[:15] + bytes([digest[15] ^ 1]) for digest in claimed[:20_000]]
    for keys in (live, again):
        assert len(keys) == 3 * daily
        assert all(digest in keys for digest in claimed)
        assert not any(digest in keys for digest in strangers + neighbours)
    again.forget_before(11)
    assert [digest in again for digest in (claimed[0], claimed[daily - 1], claimed[daily])] == [
        False,
        False,
        True,
    ]


@pytest.mark.usefixtures("few")
def test_the_end_of_one_digest_and_the_beginning_of_the_next_are_not_taken_for_a_third() -> None:
    keys = ClaimedKeys()
    for number in range(20):
        keys.claim(bytes([number]) * 16, 1)
    first, second = b"\0" * 8 + b"\0\0" + b"\1" * 6, b"\0\0" + b"\2" * 14
    for digest in (first, second):
        keys.claim(digest, 1)
    held = first + second
    across = [held[at : at + 16] for at in range(1, 16)]
    assert not any(digest in keys for digest in across if digest not in (b"\0" * 16,))
    keys.claim(across[5], 1)
    assert across[5] in keys and first in keys and second in keys


@pytest.mark.usefixtures("few")
def test_keys_of_other_lengths_are_remembered_too() -> None:
    keys = ClaimedKeys()
    odd = [b"", b"a", b"x" * 15, b"x" * 17, b"y" * 64]
    even = [os.urandom(16) for _ in range(10)]
    mixed = [*odd, *even]
    random.Random(1).shuffle(mixed)
    again = ClaimedKeys()
    again.load([[Record(*keys.claim(one, 3)) for one in mixed]])  # type: ignore[list-item]
    for held in (keys, again):
        assert all(one in held for one in mixed) and len(held) == 15
        assert b"b" not in held and b"x" * 16 not in held


@pytest.mark.usefixtures("few")
def test_a_claim_made_again_takes_no_more_room() -> None:
    keys = ClaimedKeys()
    digests = [os.urandom(16) for _ in range(20)]
    for _ in range(3):
        for digest in digests:
            keys.claim(digest, 1)
    assert len(keys) == 20


@pytest.mark.usefixtures("few")
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([0, 1, 2, 255]), min_size=16, max_size=16).map(bytes),
            st.integers(8, 12),
        ),
        max_size=60,
    ),
    st.integers(8, 13),
)
def test_claims_are_what_a_set_a_day_would_say(
    claims: list[tuple[bytes, int]], forget_before: int
) -> None:
    keys, again = ClaimedKeys(), ClaimedKeys()
    model: set[tuple[bytes, int]] = set()
    changelog = []
    for digest, day in claims:
        known = {one for one, _ in model}
        assert (digest in keys) == (digest in known)
        changelog.append(keys.claim(digest, day))
        model.add((digest, day))
    again.load([[Record(*record) for record in changelog]])  # type: ignore[list-item]
    left = {digest for digest, day in model if day >= forget_before}
    for held in (keys, again):
        held.forget_before(forget_before)
        assert all((digest in held) == (digest in left) for digest, _ in claims)
