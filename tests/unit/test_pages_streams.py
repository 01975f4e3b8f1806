"""The ends of the pages' event streams, without servers."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from fastapi import Response

from connectors.console.pages.conversations import BUSY_SECONDS, Desk, desk_of, stream
from connectors.console.pages.reading import MOST_IN_LINE
from connectors.console.pages.repairs import add_repairs
from connectors.console.pages.visits import PageProblem, Visit
from connectors.console.pages.words import Words
from connectors.console.tenant_queue import STREAMS_PER_SESSION, STREAMS_PER_TENANT, Busy
from schemas.keys import TenantId
from storage.postgres.people import Session
from storage.postgres.repair_plans import Counted, RepairChoice

ACME, OTHER = TenantId("acme"), TenantId("other")


class Woken:
    """A waiter that is woken at once."""

    def __enter__(self) -> "Woken":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    async def wait(self, _: float) -> None:
        return None


def session(role: str) -> Session:
    return Session("token", "per_1", "ana", {ACME: role}, False)


class Roles:
    """People, one of whom has another role at each look."""

    def __init__(self, *roles: str) -> None:
        self._roles = iter(roles)

    async def session(self, *_: object, **__: object) -> Session | None:
        role = next(self._roles, None)
        return session(role) if role is not None else None


class OneRepair:
    """A repair with more progress at each look."""

    looked = 0

    async def one(self, tenant_id: TenantId, repair_id: str) -> dict[str, Any]:
        self.looked += 1
        return {
            "repair_id": repair_id, "reason": "media_gone", "state": "running", "person": "ana", "messages": 2,
            "looked": self.looked, "redone": 1, "set_aside": 0, "trouble": "", "is_over": False,
            "files": Counted(2, (), RepairChoice()), "kind": "attachments", "choice": RepairChoice("media_gone"),
            "rate": 50.0, "ends_at": datetime(2026, 7, 14, tzinfo=UTC),
        }  # fmt: skip


def desk(*roles: str) -> Desk:
    pages: Any = SimpleNamespace(reading=None, pool=None, people=Roles(*roles), repairs=OneRepair())
    changes = SimpleNamespace(ended=False, waiter=lambda *_, **__: Woken())
    parts: Any = SimpleNamespace(changes=changes)
    return desk_of(parts, pages)


def visit(role: str) -> Visit:
    request: Any = SimpleNamespace(state=SimpleNamespace())
    zone: Any = None
    return Visit(request, Words("en"), zone, session(role), "", False)


async def events(response: Response) -> list[dict[str, Any]]:
    found: Any = response
    return [one async for one in found.body_iterator]


async def opened(desk: Desk, tenant_id: TenantId) -> list[str]:
    """The kinds of events of one more stream of the session `token`."""

    async def fragment() -> str:
        return "text"

    found = await events(stream(desk, visit("viewer"), tenant_id, (), fragment))
    return [one.get("event", "data") for one in found]


async def test_a_stream_without_room_tells_the_browser_to_wait() -> None:
    async def fragment() -> str:
        return "text"

    full = desk("viewer")
    async with AsyncExitStack() as others:
        for _ in range(STREAMS_PER_SESSION):
            await others.enter_async_context(full.streams.turn("token", ACME))
        found = await events(stream(full, visit("viewer"), ACME, (), fragment))
        assert [(one["event"], one["retry"]) for one in found] == [("busy", BUSY_SECONDS * 1000)]
    assert await opened(full, ACME) == ["data"]


async def test_streams_are_counted_by_session_so_that_people_may_share_an_account() -> None:
    full = desk("viewer")
    async with AsyncExitStack() as others:
        for _ in range(STREAMS_PER_SESSION):
            await others.enter_async_context(full.streams.turn("a session of per_1", ACME))
        assert await opened(full, ACME) == ["data"]


async def test_the_streams_of_a_tenant_leave_room_for_its_pages_and_other_tenants() -> None:
    full = desk("viewer", "viewer")
    async with AsyncExitStack() as others:
        for number in range(STREAMS_PER_TENANT):
            await others.enter_async_context(full.streams.turn(f"session {number}", ACME))
        assert await opened(full, ACME) == ["busy"]
        assert await opened(full, OTHER) == ["data"]
    assert await opened(full, ACME) == ["data"]
    assert STREAMS_PER_TENANT < MOST_IN_LINE


async def test_a_stream_whose_rows_cannot_be_read_now_tells_the_browser_to_wait() -> None:
    async def fragment() -> str:
        raise Busy

    found = await events(stream(desk("viewer"), visit("viewer"), ACME, (), fragment))
    assert [one["event"] for one in found] == ["busy"]


async def test_a_stream_ends_quietly_when_it_may_not_continue() -> None:
    async def fragment() -> str:
        raise PageProblem(403, "problem.403")

    assert await events(stream(desk("viewer"), visit("viewer"), ACME, (), fragment)) == []


async def test_a_page_whose_messages_were_all_erased_is_told_so() -> None:
    texts = iter(["a message"])

    async def fragment() -> str:
        for text in texts:
            return text
        raise PageProblem(404, "problem.no_messages")

    found = await events(stream(desk("viewer", "viewer"), visit("viewer"), ACME, (), fragment))
    assert found == [{"data": "a message"}, {"event": "gone", "data": ""}]


async def test_the_stream_of_a_repair_ends_with_the_role_that_may_see_it() -> None:
    routes: dict[str, Any] = {}

    class Router:
        def get(self, path: str, **_: object) -> Any:
            return lambda route: routes.setdefault(path, route)

        post = get

    router: Any = Router()
    add_repairs(router, desk("viewer", "viewer", "viewer"))
    asked = visit("operator")
    request: Any = SimpleNamespace(state=SimpleNamespace(visit=asked))
    answer = await routes["/t/{tenant}/repairs/{repair_id}/live"](request, "acme", "rep_1")
    assert len(await events(answer)) == 1
