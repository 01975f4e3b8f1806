import tracemalloc
from collections.abc import Mapping

import pytest

from connectors.webhooks import rate
from connectors.webhooks.answers import Problem
from connectors.webhooks.body import Body, Budget
from connectors.webhooks.rate import Rates
from streams.settings import SettingsError, read_settings
from tests.depth import by_depth

LIMIT = 100


# --- rates


def test_a_bucket_is_one_second_deep_and_fills_with_time() -> None:
    rates = Rates()
    assert [rates.wait_seconds("acme", 3, 10.0) for _ in range(4)] == [
        0,
        0,
        0,
        pytest.approx(1 / 3),
    ]
    assert rates.wait_seconds("acme", 3, 10.2) == pytest.approx(0.4 / 3)
    assert rates.wait_seconds("acme", 3, 10.4) == 0
    assert [rates.wait_seconds("acme", 3, 60.0) for _ in range(4)] == [
        0,
        0,
        0,
        pytest.approx(1 / 3),
    ]


def test_a_rate_below_one_lets_one_through_at_first() -> None:
    rates = Rates()
    assert rates.wait_seconds("acme", 0.1, 0.0) == 0
    assert rates.wait_seconds("acme", 0.1, 1.0) == pytest.approx(9.0)
    assert rates.wait_seconds("acme", 0.1, 10.0) == 0


def test_names_do_not_share_a_bucket() -> None:
    rates = Rates()
    assert [rates.wait_seconds(name, 1, 0.0) for name in ("a", "b", "a")] == [0, 0, 1]


@pytest.mark.parametrize("per_second", [0, -1])
def test_without_a_rate_there_is_no_limit(per_second: float) -> None:
    rates = Rates()
    assert {rates.wait_seconds("acme", per_second, 0.0) for _ in range(100)} == {0.0}


def test_buckets_are_bounded_and_the_longest_unused_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MAX_BUCKETS", 2)
    rates = Rates()
    assert [rates.wait_seconds(name, 1, 0.0) for name in ("a", "b", "a", "c", "a", "b")] == [
        0,
        0,
        1,
        0,
        1,
        0,
    ]


# --- bodies


def read(
    *chunks: bytes,
    headers: Mapping[str, str] = {},
    budget: Budget | None = None,
    owner: str | None = "acme",
) -> bytes:
    """The body that comes in these pieces."""
    body = Body(budget or Budget(1000), owner, LIMIT)
    try:
        body.announced(headers)
        for chunk in chunks:
            body.add(chunk)
        return body.whole()
    finally:
        body.release()


def refusal(*chunks: bytes, headers: Mapping[str, str] = {}) -> int:
    with pytest.raises(Problem) as raised:
        read(*chunks, headers=headers)
    return raised.value.status


def test_the_exact_bytes_in_whatever_pieces() -> None:
    body = bytes(range(LIMIT))
    assert read(body) == body
    assert read(body[:1], b"", body[1:99], body[99:], b"") == body
    assert read() == b""


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_body_of_tiny_chunks_costs_little_more_than_its_bytes(size: int) -> None:
    total = by_depth(400_000, 50_000)
    body = Body(Budget(2 * total), "acme", total)
    whole = b"ab" * (total // 2)
    tracemalloc.start()
    try:
        for at in range(0, total, size):
            body.add(whole[at : at + size])
        assert tracemalloc.get_traced_memory()[0] < 2 * total
    finally:
        tracemalloc.stop()
    assert body.whole() == whole


def test_the_limit_itself_is_allowed_and_one_more_is_not() -> None:
    assert read(b"x" * LIMIT, headers={"content-length": str(LIMIT)}) == b"x" * LIMIT
    assert refusal(headers={"content-length": str(LIMIT + 1)}) == 413  # before anything is read
    assert refusal(b"x" * LIMIT, b"x", b"") == 413
    assert refusal(b"x" * LIMIT, b"x", b"", headers={"content-length": "1"}) == 413


@pytest.mark.parametrize("length", ["9" * 5000, "0" * 30 + "1"])
def test_a_length_of_thousands_of_digits_is_too_large(length: str) -> None:
    assert refusal(headers={"content-length": length}) == 413


@pytest.mark.parametrize("length", ["", "-1", "\u00b2", "\u0661", "1e3", "+1", "abc"])
def test_a_length_that_is_not_a_number_is_refused(length: str) -> None:
    assert read(b"{}", headers={"content-length": length}) == b"{}"


@pytest.mark.parametrize("name", ["content-encoding", "transfer-encoding"])
@pytest.mark.parametrize(
    "coding", ["gzip", "GZIP", "br", "identity, gzip", "gzip, chunked", "unknown"]
)
def test_an_encoded_body_is_refused_unread(name: str, coding: str) -> None:
    assert refusal(headers={name: coding}) == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "identity"},
        {"content-encoding": " Identity "},
        {"transfer-encoding": "chunked"},
    ],
)
def test_a_body_without_a_real_encoding_is_accepted(headers: dict[str, str]) -> None:
    assert read(b"{}", headers=headers) == b"{}"


def test_bytes_in_flight_beyond_the_budget_are_503_and_room_comes_back() -> None:
    budget = Budget(200)
    first, second, third = (Body(budget, owner, LIMIT) for owner in ("one", "other", "third"))
    first.add(b"x" * 100)
    second.add(b"x" * 80)
    with pytest.raises(Problem) as raised:
        third.add(b"x" * 21)
    assert (raised.value.status, raised.value.headers["retry-after"]) == (503, "1")
    assert budget.held == 180
    for body in (first, second, third):
        body.release()
        body.release()
    assert budget.held == 0
    assert read(b"x" * 100, budget=budget) == b"x" * 100


def test_one_owner_never_takes_more_than_half_of_the_budget() -> None:
    budget = Budget(200)
    first, more, other = (Body(budget, owner, LIMIT) for owner in ("acme", "acme", "other"))
    first.add(b"x" * 100)
    with pytest.raises(Problem):
        more.add(b"x")
    more.release()
    assert budget.held == 100
    other.add(b"x" * 100)


def test_a_body_without_an_owner_is_measured_and_not_kept() -> None:
    budget = Budget(10)
    assert read(b"x" * 50, b"x" * 50, budget=budget, owner=None) == b""
    with pytest.raises(Problem) as raised:
        read(b"x" * 50, b"x" * 51, budget=budget, owner=None)
    assert raised.value.status == 413
    assert budget.held == 0


# --- the settings


@pytest.mark.parametrize(
    ("pending", "fits"), [(2 * 1024 * 1024, True), (2 * 1024 * 1024 - 1, False)]
)
def test_a_tenants_half_of_the_budget_must_hold_a_body(pending: int, fits: bool) -> None:
    environment = {"SENSORIUM_RECEIVER__MAX_PENDING_BYTES": str(pending)}
    if fits:
        assert read_settings(environment).receiver.max_pending_bytes == pending
    else:
        with pytest.raises(SettingsError, match="MAX_PENDING_BYTES"):
            read_settings(environment)
