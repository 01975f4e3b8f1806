"""Requests for repairs, without Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import click
import msgspec
import pytest
from click.testing import CliRunner

from connectors.console.pages.repairing import moment_of, repair_request_of
from connectors.console.pages.repairs import add_repairs
from connectors.console.pages.visits import PageProblem, Visit
from connectors.console.pages.words import Words
from schemas.keys import TenantId
from storage.postgres.people import Session
from storage.postgres.repair_plans import HeldRepair, Intent, RepairChoice, RepairError
from storage.postgres.repairs import Repairs
from streams.commands.repairing import rate_option
from streams.repair.applying import Prepared, RepairWork, portion_of

ACME = TenantId("acme")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Strict:
    """Answers U+0000 as Postgres does."""

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
            asked = repair_request_of(ACME, "ana", "attachments", {"reason": reason})
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
        assert repair_request_of(ACME, "ana", kind, wanted).choice == choice
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
            repair_request_of(ACME, "ana", kind, wanted)


def test_portions_follow_the_rate() -> None:
    assert [portion_of(rate) for rate in (0.1, 1, 10, 50, 1000, 0)] == [1, 1, 5, 25, 500, 500]


def test_a_command_takes_no_rate_at_which_it_would_lose_its_hold() -> None:
    command = click.Command("replay", params=[], callback=lambda rate: print(rate))
    rate_option(command)
    for rate, code in (("0", 0), ("0.1", 0), ("50", 0), ("0.09", 2), ("1e-9", 2), ("-1", 2)):
        assert CliRunner().invoke(command, ["--rate", rate]).exit_code == code, rate


class TakenOver:
    """A repair whose worker died with a portion that was begun, and a Kafka that does not have it."""

    def __init__(self) -> None:
        self.settled: list[Intent] = []

    @asynccontextmanager
    async def opened(self, held: HeldRepair) -> AsyncIterator["TakenOver"]:
        yield self

    async def committed(self) -> int:
        return 0

    async def prepared(self, intent: Intent) -> Prepared:
        return Prepared(msgspec.structs.replace(intent, items=(), redone=0), ())

    async def write(self, portion: Prepared) -> None:
        pass

    async def following(self, most: int) -> None:
        return None

    async def settle(self, held: HeldRepair, intent: Intent) -> None:
        self.settled.append(intent)

    async def finish(self, held: HeldRepair) -> None:
        held.state = "done"


async def test_a_process_that_takes_a_portion_over_counts_what_it_wrote_itself() -> None:
    there: Any = TakenOver()
    left = Intent(1, (("acme", "acme:ycloud:gone", "media_gone"),), 1, NOW, "k", redone=1)
    held = HeldRepair(
        ACME, "rep_1", "attachments", RepairChoice("media_gone"), "media_gone", 7, 0.0, 1,
        NOW, NOW, "", 0, left, 0, 0, 0, "running",
    )  # fmt: skip
    await RepairWork(there, there).work(held)
    assert [(one.items, one.redone) for one in there.settled] == [((), 0)]


def test_times_of_a_form_are_those_of_the_browsers_zone() -> None:
    mexico = ZoneInfo("America/Mexico_City")
    assert moment_of("2026-01-31T12:00", mexico) == datetime(2026, 1, 31, 18, tzinfo=UTC)
    assert moment_of("2026-01-31T12:00Z", mexico) == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert moment_of(" ", mexico) is None
    for text in ("yesterday", "0001-01-01T00:00+23:59"):
        with pytest.raises(RepairError):
            moment_of(text, mexico)


class Router:
    """Keeps the added routes, by path."""

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
