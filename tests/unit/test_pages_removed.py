"""The pages of a tenant's removal, of made-up values."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.console.pages.removals import MOST_COUNTED, SHOWN, state_of
from connectors.console.pages.rendering import render
from connectors.console.pages.visits import Visit
from connectors.console.pages.words import LANGUAGES, Words
from storage.postgres.people import Session
from tests.unit.test_pages_rendered import HOSTILE, page

NOW = datetime(2026, 7, 14, tzinfo=UTC)
STATES: dict[str, dict[str, Any]] = {
    "kept": {"data_kept": True, "has_messages": True},
    "works": {"began_at": NOW, "has_messages": True},
    "waits": {"began_at": NOW, "trouble": HOSTILE, "has_messages": True},
    "done": {"began_at": NOW, "ended_at": NOW},
    "left": {"has_messages": True},
}


def row(**fields: Any) -> dict[str, Any]:
    return {
        "tenant_id": "acme", "removed_at": NOW, "data_kept": False, "has_messages": False, "person": None,
        "began_at": None, "ended_at": None, "deleted": {}, "trouble": None,
    } | fields  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_the_state_of_a_removal_follows_from_its_rows(state: str) -> None:
    assert state_of(row(**STATES[state])) == state


def test_a_tenant_that_a_command_removed_is_done_without_messages_and_not_with_some() -> None:
    assert state_of(row()) == "done"
    assert state_of(row(began_at=NOW, ended_at=NOW, has_messages=True)) == "left"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", STATES)
def test_a_removed_tenant_is_told_in_every_state(language: str, state: str) -> None:
    one = row(person=HOSTILE, deleted={"messages": 5}, **STATES[state]) | {"state": state}
    words = Words(language)
    values: dict[str, Any] = {"rows": [one], "most": 100, "free_days": 8, "reloads": False}
    text = page("removed.html", language, section="tenants", **values)
    assert "<script>alert" not in text and words(f"removed.state_{state}") in text
    assert ('name="typed"' in text) == (state in ("kept", "left"))
    assert (words("removed.goes_on") in text) == (state in ("works", "waits"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [0, 1, 2, MOST_COUNTED + 1])
def test_the_plan_of_a_removal_says_what_is_stored(language: str, count: int) -> None:
    counts = [(name, count) for name in SHOWN]
    values: dict[str, Any] = {"most": MOST_COUNTED, "free_days": 8, "unfinished": count}
    text = page("removal.html", language, section="tenants", counts=counts, **values)
    more = Words(language)("removal.more", most="100 000")
    assert (more in re.sub(r"\s", " ", text)) == (count > MOST_COUNTED)
    assert 'name="typed"' in text and '<code class="break">acme</code>' in text
    assert not re.search(r"\b1 (?:of the messages are|de los mensajes no han)", text)


def test_a_list_without_a_removed_tenant_says_so() -> None:
    nothing: Any = None
    words = Words("en")
    person = Session("token", "per_1", "ana", {}, True)
    visit = Visit(nothing, words, ZoneInfo("UTC"), person, "", False)
    values: dict[str, Any] = {"rows": [], "most": 100, "free_days": 8, "reloads": False}
    assert words("removed.none_hint") in render("removed.html", visit=visit, t=words, **values)
