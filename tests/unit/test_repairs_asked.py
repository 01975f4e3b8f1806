"""What is asked of repairs, without Postgres."""

from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from connectors.console.pages.repairs import add_repairs
from connectors.console.pages.visits import PageProblem, Visit
from connectors.console.pages.words import Words
from schemas.keys import TenantId
from storage.postgres.people import Session
from storage.postgres.repairs import RepairError, Repairs

ACME = TenantId("acme")


class Strict:
    """Answers as Postgres does to U+0000."""

    async def fetch(self, _: str, *arguments: Any) -> list[Any]:
        if any("\0" in one for one in arguments if isinstance(one, str)):
            raise asyncpg.CharacterNotInRepertoireError("invalid byte sequence")
        return []


async def test_a_reason_or_an_id_with_a_nul_is_one_that_nothing_has() -> None:
    database: Any = Strict()
    repairs = Repairs(database)
    assert await repairs.one(ACME, "rep_1") is None
    assert await repairs.one(ACME, "rep_\0") is None
    for reason in ("media_gone", "media\0gone"):
        with pytest.raises(RepairError):
            await repairs.plan(ACME, reason, "ana")


class Router:
    """Keeps what is added, by its path."""

    def __init__(self) -> None:
        self.routes: dict[str, Any] = {}

    def get(self, path: str, **_: object) -> Any:
        return lambda route: self.routes.setdefault(path, route)

    post = get


@pytest.mark.parametrize(("state", "is_led_there"), [("running", True), ("done", False)])
async def test_a_button_that_is_clicked_twice_leads_to_what_runs(
    state: str, is_led_there: bool
) -> None:
    found = {"repair_id": "rep_1", "state": state, "is_over": False, "reason": "media_gone"}

    async def one(*_: object) -> dict[str, Any]:
        return found

    pages = SimpleNamespace(pool=None, repairs=SimpleNamespace(one=one))
    router, desk = Router(), SimpleNamespace(pages=pages)
    add_repairs(router, desk)  # type: ignore[arg-type]  # what of them is used
    person = Session("token", "per_1", "ana", {ACME: "operator"}, False)
    nothing: Any = SimpleNamespace()
    visit = Visit(nothing, Words("en"), nothing, person, "", False)
    request = SimpleNamespace(state=SimpleNamespace(visit=visit))
    apply = router.routes["/t/{tenant}/repairs/{repair_id}/apply"]
    if is_led_there:
        answer = await apply(request, "acme", "rep_1")
        assert answer.headers["location"] == "/t/acme/repairs/rep_1"
    else:
        with pytest.raises(PageProblem):
            await apply(request, "acme", "rep_1")
