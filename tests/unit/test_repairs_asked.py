"""What is asked of repairs, without Postgres."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from connectors.console.pages.repairing import asked_for, moment_of
from connectors.console.pages.repairs import add_repairs
from connectors.console.pages.visits import PageProblem, Visit
from connectors.console.pages.words import Words
from schemas.keys import TenantId
from storage.postgres.people import Session
from storage.postgres.repair_plans import RepairChoice, RepairError
from storage.postgres.repairs import Repairs
from streams.repair.applying import portion_of

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
            asked = asked_for(ACME, "ana", "attachments", {"reason": reason})
            await repairs.add(asked, await repairs.count_failed(asked))


def test_what_is_asked_for_names_records_or_is_refused() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    fine: list[tuple[str, dict[str, Any], RepairChoice]] = [
        ("attachments", {"reason": "media_gone"}, RepairChoice("media_gone")),
        ("quarantine", {}, RepairChoice()),
        (
            "quarantine",
            {"stage": "dedupe", "reason": "not_json"},
            RepairChoice("not_json", "dedupe"),
        ),
        (
            "quarantine",
            {"place": "raw-messages[3]@41"},
            RepairChoice(place=("raw-messages", 3, 41, None)),
        ),
        ("raw", {"offsets": ["0:1-2"]}, RepairChoice(spans=("0:1-2",))),
        ("raw", {"since": since}, RepairChoice(since=since)),
    ]
    for kind, wanted, choice in fine:
        assert asked_for(ACME, "ana", kind, wanted).choice == choice
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("attachments", {}),
        ("quarantine", {"place": "raw-messages[3]"}),
        ("quarantine", {"place": f"raw-messages[{2**31}]@1"}),
        ("raw", {}),
        ("raw", {"offsets": ["0:1-2"], "since": since}),
        ("raw", {"offsets": ["0:1-2"], "until": since}),
        ("all", {}),
    ]
    for kind, wanted in wrong:
        with pytest.raises(RepairError):
            asked_for(ACME, "ana", kind, wanted)


def test_portions_follow_the_rate() -> None:
    assert [portion_of(rate) for rate in (0.1, 1, 10, 50, 1000, 0)] == [1, 1, 5, 25, 500, 500]


def test_times_of_a_form_are_those_of_the_browsers_zone() -> None:
    mexico = ZoneInfo("America/Mexico_City")
    assert moment_of("2026-01-31T12:00", mexico) == datetime(2026, 1, 31, 18, tzinfo=UTC)
    assert moment_of("2026-01-31T12:00Z", mexico) == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert moment_of(" ", mexico) is None
    for text in ("yesterday", "0001-01-01T00:00+23:59"):
        with pytest.raises(RepairError):
            moment_of(text, mexico)


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

    pages = SimpleNamespace(pool=None, repairs=SimpleNamespace(one=one), work=None)
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
