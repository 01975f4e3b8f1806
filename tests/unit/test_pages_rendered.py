"""Pages with invented values, in every language, without servers."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.console.pages.rendering import _plain, _short, render
from connectors.console.pages.searching import Filters
from connectors.console.pages.visits import Visit
from connectors.console.pages.words import LANGUAGES, Words
from schemas.keys import TenantId
from storage.postgres.people import PersonRole, Session
from storage.postgres.repair_plans import Counted, PlanLine, RepairChoice

ACME = TenantId("acme")
HOSTILE = """o'"><script>alert(1)</script>"""
NOW = datetime(2026, 7, 14, tzinfo=UTC)


def page(template: str, language: str, role: PersonRole = "admin", **values: Any) -> str:
    nothing: Any = None
    person = Session("token", "per_1", HOSTILE, {ACME: role}, False)
    visit = Visit(nothing, Words(language), ZoneInfo("UTC"), person, "", False)
    return render(template, visit=visit, t=visit.words, tenant=ACME, **values)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_settings_page_shows_names_as_text_and_asks_before_the_end(language: str) -> None:
    endpoint = {
        "endpoint_id": "ep_1", "provider": "ycloud", "readable": True, "unsigned": False, "secret_ids": ["sec_1", "sec_2"],
        "accepted_at": NOW, "refused_at": NOW, "refused_reason": "signature_mismatch",
    }  # fmt: skip
    text = page(
        "settings.html",
        language,
        section="tenants",
        keys=[{"name": HOSTILE, "key_id": "k1", "scope": "read", "created_at": NOW}],
        endpoints=[endpoint],
        providers=("ycloud",),
        usage=[{"day": NOW.date(), "kind": "describe", "calls": 1, "cost_microusd": None}],
        scopes=("read", "admin"),
        shown_once=("settings.new_key", HOSTILE),
    )
    assert "<script>alert" not in text and text.count("&lt;script&gt;alert(1)") == 4
    asked = re.findall(r'data-asks="([^"]+)"', text)
    assert len(asked) == 1 and "&#39;&#34;&gt;" in asked[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_list_leads_people_who_may_to_the_connection_of_a_provider(language: str) -> None:
    empty: dict[str, Any] = {"section": "conversations", "heads": [], "providers": [], "older": "", "chosen": ""}  # fmt: skip
    values = empty | {"filters": Filters(), "is_first": True, "sees": True}
    words = Words(language)
    text = page("conversations.html", language, **values)
    link = f'<a class="button primary" href="/t/{ACME}/tenants">'
    assert words("list.start_hint") in text and link in text
    text = page("conversations.html", language, "viewer", **values)
    assert words("list.start_ask") in text and link not in text
    text = page("conversations.html", language, **values | {"filters": Filters(text="word")})
    assert words("list.choose") in text and link not in text


KINDS: dict[str, RepairChoice] = {
    "attachments": RepairChoice("media_gone"),
    "quarantine": RepairChoice("not_json", "dedupe", ("raw-messages", 0, 7, None)),
    "raw": RepairChoice(spans=("0:1-2",)),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["planned", "running", "done", "cancelled"])
@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_repair_is_told_in_every_state(language: str, state: str, count: int, kind: str) -> None:
    becomes = ("again", "set_aside", "without", "gone", "refused", "job")
    lines = tuple(PlanLine("acme", HOSTILE, HOSTILE, count, one) for one in becomes)
    counted = Counted(count, lines, RepairChoice(), {"image": count}, None, count)
    repair = {
        "repair_id": "rep_1", "kind": kind, "reason": "media_gone", "state": state, "is_over": False, "person": HOSTILE,
        "messages": count, "looked": count, "redone": count, "set_aside": count, "trouble": "Kafka", "rate": 50.0,
        "ends_at": NOW,
    }  # fmt: skip
    text = page(
        "repair.html",
        language,
        section="trouble",
        repair=repair,
        choice=KINDS[kind],
        counted=counted,
        seconds=0.1,
        left_seconds=5.0,
        rates=(0.1, 1000.0),
    )
    assert "<script>alert" not in text and not re.search(r"\b1 (?:files|archivos|messages)\b", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_person_without_a_role_is_not_told_to_add_a_tenant(language: str) -> None:
    nothing: Any = None
    for is_chief in (True, False):
        person = Session("token", "per_1", "ana", {}, is_chief)
        visit = Visit(nothing, Words(language), ZoneInfo("UTC"), person, "", False)
        text = render("empty.html", visit=visit, t=visit.words)
        assert ("sensorium tenants add" in text) == is_chief
        assert (visit.words("empty.ask") in text) != is_chief


def record(offset: int, *, is_sendable: bool) -> dict[str, Any]:
    return {
        "at": NOW, "place": f"vision[0]@{offset}", "href": "/t/acme/x", "detail": "", "reason": "stage_error", "ref": "",
        "tries": 0, "is_set_aside": False, "is_sendable": is_sendable,
    }  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_sending_again_is_offered_where_a_record_can_be_sent(language: str) -> None:
    values = {
        "section": "trouble",
        "stage": "",
        "reason": "",
        "older": "1.a b+c",
        "may_repair": True,
    }
    for sendable in (False, True):
        rows = [record(0, is_sendable=False), record(1, is_sendable=sendable)]
        text = page("records.html", language, rows=rows, **values)
        assert text.count('name="kind" value="quarantine"') == (2 if sendable else 0)
        hint = Words(language)("records.repair_files")
        assert (hint in text) != sendable
        assert "before=1.a%20b%2Bc" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (["a", "b"], "a, b"),
        ({"a": ["b", 2], "c": None}, "a: b, 2; c: –"),
        (True, "✓"),
        (1, "1"),
    ],
)
def test_what_was_filled_in_is_shown_without_the_marks_of_a_language(value: Any, text: str) -> None:
    assert _plain(value) == text


def test_a_day_is_written_as_readers_of_the_language_write_it() -> None:
    month_ago = datetime.now(UTC) - timedelta(days=31)
    context: Any = {"t": Words("en")}
    assert _short(context, month_ago, ZoneInfo("UTC")) == month_ago.strftime("%-d %b")
    context = {"t": Words("es")}
    assert _short(context, month_ago, ZoneInfo("UTC")) == month_ago.strftime("%d/%m")
