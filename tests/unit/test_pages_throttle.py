"""Failed logins at the same time, without a database."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from connectors.console.pages import throttle
from connectors.console.pages.login import add_login
from connectors.console.pages.visits import form_cookie, page_route
from connectors.console.tenant_queue import Busy


class Waiting:
    """Has no accounts. All tries read the counts before any of them is counted."""

    def __init__(self, tries: int) -> None:
        self.counts: Counter[bytes] = Counter()
        self._barrier = asyncio.Barrier(tries)

    async def failures(self, buckets: Sequence[bytes]) -> dict[bytes, tuple[int, float]]:
        known = {one: (self.counts[one], 60.0) for one in buckets}
        async with asyncio.timeout(60):
            await self._barrier.wait()
        return known

    async def count_failure(self, buckets: Sequence[bytes]) -> dict[bytes, tuple[int, float]]:
        self.counts.update(buckets)
        return {one: (self.counts[one], 60.0) for one in buckets}

    async def uncount_failure(self, buckets: Sequence[bytes]) -> None:
        self.counts.subtract(buckets)

    async def named(self, _: str) -> None:
        return None


async def statuses(people: Waiting, tries: int) -> list[int]:
    """The statuses of this many logins at the same time."""
    parts: Any = SimpleNamespace(people=people, public_url="")
    router = APIRouter(route_class=page_route(parts))
    add_login(router, parts)
    app = FastAPI()
    app.include_router(router)
    transport = httpx.ASGITransport(app=app)
    cookies = {form_cookie(False): "seed"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://console.test", cookies=cookies
    ) as asking:
        page = (await asking.get("/login")).text
        token = page.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": token, "name": "ana", "password": "wrong"}
        answers = await asyncio.gather(*(asking.post("/login", data=form) for _ in range(tries)))
    return sorted(one.status_code for one in answers)


async def test_tries_at_once_are_bounded_like_tries_in_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = 0

    async def wrong(*_: object) -> bool:
        nonlocal tried
        tried += 1
        return False

    monkeypatch.setattr(throttle, "is_right", wrong)
    people = Waiting(40)
    allowed = throttle.PER_ACCOUNT_AND_ADDRESS
    assert await statuses(people, 40) == [401] * allowed + [429] * (40 - allowed)
    assert tried == allowed
    assert sorted(people.counts.values()) == [allowed, 40, 40]  # the account's owner may still try


async def test_a_login_that_nobody_had_time_for_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def busy(*_: object) -> bool:
        raise Busy

    monkeypatch.setattr(throttle, "is_right", busy)
    people = Waiting(1)
    assert await statuses(people, 1) == [429]
    assert set(people.counts.values()) == {0}


@pytest.mark.parametrize(
    ("peer", "bucket"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("a-unix-socket", "a-unix-socket"),
    ],
)
def test_tries_are_counted_by_ipv4_address_and_by_ipv6_network(peer: str, bucket: str) -> None:
    request: Any = SimpleNamespace(client=SimpleNamespace(host=peer))
    assert throttle.address_of(request) == bucket
