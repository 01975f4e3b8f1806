import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from connectors.webhooks import rate
from connectors.webhooks.answers import Problem
from connectors.webhooks.body import Budget, Disconnected, Receive, read_body
from connectors.webhooks.rate import Rates
from streams.settings import SettingsError, read_settings

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
def test_no_rate_is_no_limit(per_second: float) -> None:
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


def arriving(*chunks: bytes | None) -> Receive:
    """A request body in these pieces; None: the client goes away."""
    left = list(chunks)

    async def receive() -> Mapping[str, Any]:
        chunk = left.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    return receive


async def read(
    receive: Receive,
    headers: Mapping[str, str] = {},
    *,
    budget: Budget | None = None,
    seconds: float = 5.0,
) -> bytes:
    with (budget or Budget(1000)).one_request("acme") as share:
        return await read_body(receive, headers, share, max_bytes=LIMIT, seconds=seconds)


async def refusal(receive: Receive, headers: Mapping[str, str] = {}, **more: Any) -> int:
    with pytest.raises(Problem) as raised:
        await read(receive, headers, **more)
    return raised.value.status


async def test_the_exact_bytes_in_whatever_pieces() -> None:
    body = bytes(range(LIMIT))
    assert await read(arriving(body)) == body
    assert await read(arriving(body[:1], b"", body[1:99], body[99:], b"")) == body
    assert await read(arriving(b"")) == b""


async def test_the_limit_itself_is_allowed_and_one_more_is_not() -> None:
    assert await read(arriving(b"x" * LIMIT), {"content-length": str(LIMIT)}) == b"x" * LIMIT
    assert (
        await refusal(arriving(), {"content-length": str(LIMIT + 1)}) == 413
    )  # before anything is read
    assert await refusal(arriving(b"x" * LIMIT, b"x", b"")) == 413
    assert await refusal(arriving(b"x" * LIMIT, b"x", b""), {"content-length": "1"}) == 413


@pytest.mark.parametrize("length", ["9" * 5000, "0" * 30 + "1"])
async def test_a_length_of_thousands_of_digits_is_too_large(length: str) -> None:
    assert await refusal(arriving(), {"content-length": length}) == 413


@pytest.mark.parametrize("length", ["", "-1", "\u00b2", "\u0661", "1e3", "+1", "abc"])
async def test_a_length_that_is_no_number_is_not_believed(length: str) -> None:
    assert await read(arriving(b"{}"), {"content-length": length}) == b"{}"


@pytest.mark.parametrize("name", ["content-encoding", "transfer-encoding"])
@pytest.mark.parametrize(
    "coding", ["gzip", "GZIP", "br", "identity, gzip", "gzip, chunked", "unknown"]
)
async def test_an_encoded_body_is_refused_unread(name: str, coding: str) -> None:
    assert await refusal(arriving(), {name: coding}) == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "identity"},
        {"content-encoding": " Identity "},
        {"transfer-encoding": "chunked"},
    ],
)
async def test_what_is_no_encoding_is_taken(headers: dict[str, str]) -> None:
    assert await read(arriving(b"{}"), headers) == b"{}"


async def test_a_client_that_goes_away_leaves_nothing_in_the_budget() -> None:
    budget = Budget(1000)
    with pytest.raises(Disconnected):
        await read(arriving(b"x" * 10, None), budget=budget)
    assert budget.held == 0


async def test_a_slow_body_is_408() -> None:
    async def forever() -> AsyncIterator[Mapping[str, Any]]:
        yield {"type": "http.request", "body": b"{", "more_body": True}
        await asyncio.Event().wait()

    assert await refusal(forever().__anext__, seconds=0.05) == 408


async def test_bytes_in_flight_beyond_the_budget_are_503_and_room_comes_back() -> None:
    budget = Budget(200)
    with budget.one_request("one") as first, budget.one_request("other") as second:
        first.grow(100)
        second.grow(80)
        with pytest.raises(Problem) as raised, budget.one_request("third") as third:
            third.grow(21)
        assert (raised.value.status, raised.value.headers["retry-after"]) == (503, "1")
        assert budget.held == 180
    assert budget.held == 0
    assert await read(arriving(b"x" * 100), budget=budget) == b"x" * 100


async def test_one_owner_never_takes_more_than_half_of_the_budget() -> None:
    budget = Budget(200)
    with budget.one_request("acme") as share:
        share.grow(100)
        with pytest.raises(Problem), budget.one_request("acme") as more:
            more.grow(1)
        with budget.one_request("other") as other:
            other.grow(100)


async def test_a_body_without_a_share_is_read_and_not_kept() -> None:
    assert (
        await read_body(arriving(b"x" * 50, b"x" * 50), {}, None, max_bytes=LIMIT, seconds=1) == b""
    )
    with pytest.raises(Problem) as raised:
        await read_body(arriving(b"x" * 50, b"x" * 51), {}, None, max_bytes=LIMIT, seconds=1)
    assert raised.value.status == 413


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
