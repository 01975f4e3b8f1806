from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.console.pages.bubbles import bubble, chat
from connectors.console.pages.conversations import _days
from connectors.console.pages.passwords import hashed, is_right
from connectors.console.pages.reading import NOW, cursor, place_of
from connectors.console.pages.refs import Refs
from connectors.console.pages.searching import PageCursor, tsquery
from connectors.console.pages.visits import local_path, zone_of
from schemas.keys import TenantId
from tests.unit.events import understood, ycloud

ACME, OTHER = TenantId("acme"), TenantId("other")
REFS = Refs([b"a" * 32])
PLANTED = [
    "15550100001",
    "Ana Secret",
    "my secret text",
    "receipt 4711",
    "spoken words",
    "file.pdf",
    "19.43",
]


def row(key: str = "acme:ycloud:1", **fields: object) -> dict[str, object]:
    return {
        "message_key": key, "role": "user", "kind": "text", "status": "complete", "content": None,
        "occurred_at": datetime(2026, 7, 14, tzinfo=UTC), "received_at": datetime(2026, 7, 14, tzinfo=UTC),
        "sender_id": None, "sender_name": None, "attributes": {},
    } | fields  # fmt: skip


def test_a_reference_hides_the_id_and_is_read_back_only_for_its_tenant_and_kind() -> None:
    name = "15550109999~15550100001"
    ref = REFS.of(ACME, "c", name)
    assert "1555" not in ref and REFS.of(ACME, "c", name) == ref
    assert REFS.open(ACME, "c", ref) == name
    assert REFS.open(OTHER, "c", ref) is None and REFS.open(ACME, "m", ref) is None
    assert Refs([b"b" * 32]).open(ACME, "c", ref) is None
    assert Refs([b"b" * 32, b"a" * 32]).open(ACME, "c", ref) == name


@pytest.mark.parametrize("bad", ["", "x", "ä", "a" * 9_999, "..", "AAAA", "=" * 8])
def test_what_is_not_a_reference_is_nothing(bad: str) -> None:
    assert REFS.open(ACME, "c", bad) is None


def test_a_place_goes_through_an_address_and_back_to_the_microsecond() -> None:
    place = PageCursor(datetime(2026, 7, 14, 10, 5, 1, 123457, tzinfo=UTC), "acme:ycloud:wamid.1")
    assert place_of(cursor(place, REFS, ACME), REFS, ACME) == place
    for bad in (
        None,
        "",
        "1",
        "x.y",
        f"9{'9' * 30}.{REFS.of(ACME, 'm', 'k')}",
        cursor(place, REFS, OTHER),
    ):
        assert place_of(bad, REFS, ACME) is NOW


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", ""),
        ("  !!", ""),
        ("recibo", "recibo:*"),
        ("mi re'cibo", "mi & re & cibo:*"),
        ("a | b & !c", "a & b & c"),
        ("x\0y", "x & y"),
        ("a", "a"),
        ("mesa de", "mesa & de"),
        ("sol", "sol:*"),
    ],
)
def test_words_of_a_search_become_a_query_that_cannot_be_broken(text: str, query: str) -> None:
    assert tsquery(text) == query


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/t/acme/conversations?q=1", "/t/acme/conversations?q=1"), (None, "/"), ("", "/"), ("//evil.example", "/"),
        ("https://evil.example/", "/"), ("/\\evil.example", "/"), ("\\/evil", "/"), ("/\tx", "/"), ("/x\r\nSet-Cookie: a", "/"),
        ("javascript:alert(1)", "/"), ("t/acme", "/"), ("///evil.example", "/"),
    ],
)  # fmt: skip
def test_after_a_login_people_stay_on_this_console(wanted: str | None, path: str) -> None:
    assert local_path(wanted) == path


def test_a_time_zone_is_one_that_is_known() -> None:
    assert str(zone_of("America/Mexico_City")) == "America/Mexico_City"
    for bad in ("", "../../etc/passwd", "No/Where", "a" * 400, "/etc/passwd"):
        assert str(zone_of(bad)) == "UTC"


async def test_a_password_is_right_or_not_and_nobody_has_none() -> None:
    stored = hashed("correct horse")
    assert stored.startswith("$argon2id$")
    assert await is_right("correct horse", stored)
    assert not await is_right("wrong horse", stored)
    assert not await is_right("nobody logs in with this", None)
    assert not await is_right("correct horse", "not a hash")


def test_a_masked_message_holds_nothing_of_its_content() -> None:
    full = row(
        content="my secret text",
        sender_name="Ana Secret",
        attributes={
            "provider": {
                "quoted": {"id": "2", "text": "my secret text"},
                "locations": [{"latitude": "19.43", "name": "Ana Secret"}],
                "contacts": [{"name": "Ana Secret", "phones": [{"phone": "15550100001"}]}],
            },
            "attachments": [
                {"index": 0, "type": "image", "status": "described", "description": "receipt 4711", "filename": "file.pdf",
                 "transcript": "spoken words", "mime_type": "image/png", "url": "/media/acme/x.png", "original_url": "https://x/15550100001"},
            ],
        },
    )  # fmt: skip
    masked = repr(bubble(full, lambda key: "ref", is_masked=True))
    assert [one for one in PLANTED if one in masked] == []
    seen = repr(bubble(full, lambda key: "ref", is_masked=False))
    assert all(one in seen for one in PLANTED)


def test_a_reaction_is_shown_at_its_message_until_it_is_taken_back() -> None:
    def reaction(key: str, emoji: str, removed: bool = False) -> dict[str, object]:
        told = {"message_id": "1", "emoji": emoji} | ({"removed": True} if removed else {})
        return row(key, kind="reaction", attributes={"provider": {"reaction": told}})

    rows = [reaction("acme:ycloud:2", "❤️"), row(content="hi")]
    (one,) = chat(rows, lambda key: key, is_masked=False)
    assert (one.text, one.reactions) == ("hi", ("❤️",))
    rows.insert(0, reaction("acme:ycloud:3", "", removed=True))
    (one,) = chat(rows, lambda key: key, is_masked=False)
    assert one.reactions == ()


def test_each_person_of_a_group_has_a_reaction_of_their_own() -> None:
    def reaction(key: str, person: str, emoji: str) -> dict[str, object]:
        told: dict[str, object] = {"message_id": "1", "emoji": emoji}
        if not emoji:
            told["removed"] = True
        return row(
            key, kind="reaction", sender_id=person, attributes={"provider": {"reaction": told}}
        )

    rows = [
        reaction("acme:ycloud:5", "ana", ""),
        reaction("acme:ycloud:4", "zoe", "❤️"),
        reaction("acme:ycloud:3", "ana", "👍"),
        row(content="hi"),
    ]
    (one,) = chat(rows[1:], lambda key: key, is_masked=False)
    assert one.reactions == ("👍", "❤️")
    (one,) = chat(rows, lambda key: key, is_masked=False)
    assert one.reactions == ("❤️",)


def test_the_longest_id_has_a_reference_that_opens() -> None:
    longest = "acme:" + "x" * 40 + ":" + "😀" * 512
    assert REFS.open(ACME, "m", REFS.of(ACME, "m", longest)) == longest


def test_days_are_those_of_the_order_of_the_messages() -> None:
    imported = row(occurred_at=datetime(2020, 1, 5, tzinfo=UTC))
    visit: Any = SimpleNamespace(zone=ZoneInfo("UTC"))
    bubbles = [bubble(one, lambda key: key, is_masked=False) for one in (row(), imported, row())]
    assert [len(found) for _, found in _days(bubbles, visit)] == [3]


def test_a_voice_note_shows_its_words_once() -> None:
    heard = row(content="hola", attributes={"transcript": "hola"})
    assert bubble(heard, lambda key: key, is_masked=False).text == ""
    odd = row(attributes={"attachments": ["x", {"type": "image", "index": "0"}], "provider": []})
    assert len(bubble(odd, lambda key: key, is_masked=False).files) == 1


@pytest.mark.parametrize(
    ("unsupported", "reports"),
    [
        ({"type": "edit"}, "edit"),
        ({"type": "unsupported", "detail": "edit"}, "edit"),
        ({"type": "revoke"}, "revoke"),
        ({"type": "unsupported", "detail": "poll_creation"}, ""),
        ({"type": ["edit"]}, ""),
        ("edit", ""),
        (None, ""),
    ],
)
def test_a_report_about_an_earlier_message_is_told_from_other_unsupported_types(
    unsupported: object, reports: str
) -> None:
    told = row(kind="unsupported", attributes={"provider": {"unsupported": unsupported}})
    assert bubble(told, lambda key: key, is_masked=True).reports == reports


def test_what_whatsapp_reports_of_an_edit_reaches_the_page() -> None:
    edit = {"original_message_id": "wamid.0", "message": {"type": "text", "text": {"body": "new"}}}
    for event in (
        ycloud(type="edit", edit=edit),
        ycloud(type="unsupported", unsupported={"type": "edit"}),
    ):
        found = understood(event)
        told = row(kind=found.kind, attributes={"provider": found.attributes})
        one = bubble(told, lambda key: key, is_masked=False)
        assert (found.kind, one.reports, one.text) == ("unsupported", "edit", "")


def test_a_message_whose_attributes_are_too_large_says_so_also_if_it_is_masked() -> None:
    for is_masked in (True, False):
        large = bubble(row(is_too_large=True), lambda key: key, is_masked=is_masked)
        small = bubble(row(is_too_large=False), lambda key: key, is_masked=is_masked)
        assert (large.is_too_large, small.is_too_large) == (True, False)
