"""Each event of Chatwoot becomes a message, is skipped or is set aside, and a note stays a note."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.outcomes import Quarantine, Skip
from tests.unit.events import chatwoot, key_of, row_of, understood, verdict


@pytest.mark.parametrize(
    "name",
    [
        "conversation_created", "conversation_updated", "conversation_status_changed", "conversation_opened", "conversation_resolved",
        "conversation_typing_on", "conversation_typing_off", "contact_created", "contact_updated", "inbox_created", "inbox_updated",
        "webwidget_triggered",
    ],
)  # fmt: skip
def test_a_chatwoot_event_that_is_not_a_message_is_skipped_and_its_id_is_not_a_message_id(
    name: str,
) -> None:
    event = {
        "event": name,
        "id": 820014,
        "account": {"id": 7},
        "channel": {"provider_config": {"api_key": "SECRET"}},
        "message_type": "incoming",
    }
    assert verdict(event) == Skip("not_a_message")
    assert key_of(event).startswith("sha256-")


@pytest.mark.parametrize(
    "event",
    [{"event": 7}, {"event": None}, {"event": ""}, {"event": ["message_created"]}, {"event": {}}],
)
def test_an_event_that_is_not_named_is_set_aside(event: dict[str, Any]) -> None:
    assert verdict(event) == Quarantine("event_missing", "no event")


@pytest.mark.parametrize(
    ("ids", "key"),
    [
        ({"id": 820014}, "7/820014"),
        ({"id": "820014"}, "7/820014"),
        ({"id": 820014, "account": {"id": "7"}}, "7/820014"),
        ({"id": 10**25}, f"7/{10**25}"),
    ],
)
def test_a_chatwoot_message_has_one_key_however_its_ids_are_written(
    ids: dict[str, Any], key: str
) -> None:
    event = chatwoot(**ids)
    assert (key_of(event), understood(event).provider_message_id) == (key, key)


@pytest.mark.parametrize(
    "value",
    [
        0,
        "0",
        "00",
        " ",
        " 1",
        "1 ",
        "null",
        "None",
        "undefined",
        820014.0,
        True,
        False,
        10**40,
        -(10**40),
        [],
        {},
        "",
        "a\0b",
        "\ud800",
        float("nan"),
    ],
)
@pytest.mark.parametrize(
    "place",
    [lambda value: {"id": value}, lambda value: {"account": {"id": value}}],
    ids=["message", "account"],
)
def test_an_id_that_is_not_an_id_sets_the_message_aside(
    value: object, place: Callable[[object], dict[str, Any]]
) -> None:
    found = (
        verdict(chatwoot(**place(value)))
        if value != "\ud800"
        else Quarantine("identifier_missing", "")
    )
    assert isinstance(found, Quarantine)
    assert found.reason == "identifier_missing"


@pytest.mark.parametrize("conversation", [None, [], {}, {"id": None}, {"id": True}, {"id": 1.5}])
def test_a_chatwoot_message_outside_a_conversation_is_set_aside(conversation: object) -> None:
    found = verdict(chatwoot(conversation=conversation))
    assert isinstance(found, Quarantine)
    assert found.reason == "conversation_missing"


def test_a_bool_is_not_a_message_type() -> None:
    for value in (True, False):
        assert verdict(chatwoot(message_type=value)) == Quarantine("field_invalid", "message_type")


# --- who, and what nobody but the business may see


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({"sender": {"id": 21, "type": "user"}}, "agent"),
        ({"sender": {"id": 3, "type": "agent_bot"}}, "assistant"),
        ({"sender": {"id": 3, "type": "captain_assistant"}}, "assistant"),
        ({"sender": None}, "assistant"),
        ({"sender": None, "content_attributes": {"external_echo": True}}, "agent"),
        ({"sender": None, "content_attributes": {"automation_rule_id": 4}}, "assistant"),
        (
            {"sender": {"id": 21, "type": "user"}, "additional_attributes": {"campaign_id": 9}},
            "assistant",
        ),
        (
            {
                "sender": {"id": 21, "type": "user"},
                "additional_attributes": {"template_params": {"name": "welcome"}},
            },
            "assistant",
        ),
        ({"sender": {"id": 21, "type": "user"}, "message_type": "template"}, "assistant"),
        ({"sender": None, "message_type": "template", "content_type": "input_csat"}, "assistant"),
    ],
)
def test_who_answers_in_chatwoot(fields: dict[str, Any], role: str) -> None:
    found = understood(chatwoot(**{"message_type": "outgoing", "private": False, **fields}))
    assert (found.role, found.direction) == (role, "outbound")


@pytest.mark.parametrize("private", [True, 1, "true", "t", "1", "yes", [], {}])
@pytest.mark.parametrize("message_type", ["incoming", "outgoing", "template"])
def test_what_may_be_a_private_note_is_one(private: object, message_type: str) -> None:
    found = understood(
        chatwoot(
            {"file_type": "image", "data_url": "https://c.example.com/i"},
            private=private,
            message_type=message_type,
        )
    )
    assert (found.kind, found.direction, len(found.attachments)) == ("note", "outbound", 1)


@pytest.mark.parametrize("private", [False, None, 0, "", "false"])
def test_what_is_not_private_is_not_a_note(private: object) -> None:
    found = understood(chatwoot(private=private))
    assert (found.kind, found.direction) == ("text", "inbound")


def test_a_private_note_without_words_is_a_note_and_nothing_of_it_is_missing() -> None:
    message = row_of(chatwoot(private=True, message_type="outgoing", content=None))
    assert (message.kind, message.status, message.content) == ("note", "complete", None)
