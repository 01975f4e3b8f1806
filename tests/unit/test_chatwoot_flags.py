"""Every flag that Chatwoot puts on a message, and answers to its forms."""

from itertools import permutations
from typing import Any

import pytest

from connectors.providers import catalogue
from schemas.outcomes import Duplicate, Forward, Outcome, Skip
from schemas.records import ChatMessage, EnrichedMessage
from streams.stages.dedupe import dedupe
from tests.unit.events import chatwoot, understood
from tests.unit.records import NOW, arrival, body, payload, raw

AGENT = {"id": 21, "name": "Ana", "type": "user"}
BOT = {"id": 5, "name": "Acme Bot", "type": "agent_bot"}
PHOTO = {"id": 60, "file_type": "image", "data_url": "https://c.example.com/active_storage/1.jpg"}


def sent(**fields: Any) -> dict[str, Any]:
    return chatwoot(**{"message_type": "outgoing", "sender": AGENT, "content": "Hola", **fields})


def flags(**content_attributes: Any) -> dict[str, Any]:
    return {"content_attributes": content_attributes}


# who speaks


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({}, "agent"),
        ({"sender": AGENT | {"type": "User"}}, "agent"),
        ({"additional_attributes": {"template_params": {"name": "cita"}}}, "assistant"),
        ({"additional_attributes": {"template_params": {}}}, "agent"),
        ({"additional_attributes": {"template_params": None}}, "agent"),
        ({"additional_attributes": {"campaign_id": 9}}, "assistant"),
        ({"additional_attributes": None}, "agent"),
        (flags(automation_rule_id=4), "assistant"),
        (flags(external_echo=True), "agent"),
        ({"sender": None, **flags(external_echo=True)}, "agent"),
        ({"sender": None, **flags(external_echo="true")}, "agent"),
        ({"sender": None, **flags(external_echo=False)}, "assistant"),
        ({"sender": None}, "assistant"),
        ({"sender": BOT}, "assistant"),
        ({"sender": {"id": 5, "type": "AgentBot"}}, "assistant"),
        ({"sender": {"id": 5, "type": "captain_assistant"}}, "assistant"),
        ({"sender": {"id": 5, "type": "Captain::Assistant"}}, "assistant"),
        ({"message_type": "template"}, "assistant"),
        ({"message_type": 3}, "assistant"),
    ],
)
def test_who_speaks_in_what_was_sent(fields: dict[str, Any], role: str) -> None:
    found = understood(sent(**fields))
    assert (found.role, found.direction) == (role, "outbound")


@pytest.mark.parametrize(
    "fields",
    [
        {"additional_attributes": {"template_params": {"name": "x"}}},
        {"additional_attributes": {"campaign_id": 9}},
        flags(automation_rule_id=4),
        flags(external_echo=True),
        {"sender": None},
    ],
)
def test_what_a_customer_sends_is_the_customers_whatever_its_flags(fields: dict[str, Any]) -> None:
    assert understood(chatwoot(**fields)).role == "user"


def test_a_template_is_named_without_its_parameters() -> None:
    found = understood(payload("chatwoot", "outgoing_template_by_agent.json"))
    assert (found.role, found.attributes["template"]) == (
        "assistant",
        {"name": "recordatorio", "category": "UTILITY", "language": "es"},
    )


# what kind it is


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (chatwoot(**flags(is_unsupported=True)), "unsupported"),
        (chatwoot(content=None, **flags(is_unsupported=True)), "unsupported"),
        (chatwoot(PHOTO, **flags(is_unsupported=True)), "unsupported"),
        (chatwoot(**flags(is_unsupported="true")), "unsupported"),
        (chatwoot(**flags(is_unsupported=1)), "unsupported"),
        (chatwoot(**flags(is_unsupported=False)), "text"),
        (chatwoot(**flags(is_unsupported="false")), "text"),
        (chatwoot(**flags(is_unsupported=None)), "text"),
        (chatwoot(**flags(is_reaction=True)), "reaction"),
        (chatwoot(private=True, **flags(is_unsupported=True)), "note"),
        (chatwoot(private="true", **flags(is_reaction=True)), "note"),
        (chatwoot(**flags(deleted=True)), "text"),
        (chatwoot(content_type="incoming_email"), "text"),
        (chatwoot(content_type="article"), "text"),
        (chatwoot(content_type="integrations"), "text"),
        (chatwoot(content_type=None), "text"),
        (chatwoot(content_attributes=None), "text"),
        (chatwoot(content_attributes="{}"), "text"),
        *(
            (chatwoot(content_type=form), "interactive")
            for form in (
                "input_text",
                "input_textarea",
                "input_email",
                "input_select",
                "cards",
                "form",
                "input_csat",
            )
        ),
    ],
)
def test_the_flags_decide_the_kind(event: dict[str, Any], kind: str) -> None:
    assert understood(event).kind == kind


def test_a_file_of_an_unsupported_message_is_kept_all_the_same() -> None:
    found = understood(chatwoot(PHOTO, **flags(is_unsupported=True)))
    assert [one.url for one in found.attachments] == [PHOTO["data_url"]]


@pytest.mark.parametrize(
    ("event", "attribute", "value"),
    [
        (chatwoot(**flags(deleted=True)), "deleted", True),
        (chatwoot(**flags(deleted="true")), "deleted", True),
        (chatwoot(**flags(deleted=False)), "deleted", None),
        (sent(**flags(external_echo=True)), "external_echo", True),
        (chatwoot(**flags(is_unsupported=True)), "is_unsupported", True),
        (sent(additional_attributes={"campaign_id": 9}), "campaign_id", "9"),
        (sent(**flags(automation_rule_id=4)), "automation_rule_id", "4"),
        (chatwoot(**flags(in_reply_to=7)), "in_reply_to", "7"),
        (chatwoot(**flags(translations={"en": "Hello"})), "translations", {"en": "Hello"}),
        (
            chatwoot(content_type="incoming_email", **flags(email={"subject": "Cita", "from": ["maya@example.com"]})),
            "email",
            {"subject": "Cita"},
        ),
        (
            sent(content_type="input_select", **flags(items=[{"title": "Sí", "value": "yes"}])),
            "items",
            [{"title": "Sí", "value": "yes"}],
        ),
        (
            sent(
                content_type="cards",
                **flags(items=[{"title": "A", "media_url": "https://x.example.com/a.jpg", "actions": [{}]}]),
            ),
            "items",
            [{"title": "A", "media_url": "https://x.example.com/a.jpg"}],
        ),
        (
            sent(content_type="article", **flags(items=[{"title": "Guía", "link": "https://x.example.com"}])),
            "items",
            [{"title": "Guía", "link": "https://x.example.com"}],
        ),
        (
            chatwoot(content_type="voice_call", **flags(data={"status": "completed", "call_sid": "CA1"})),
            "call",
            {"status": "completed"},
        ),
        (chatwoot(**flags(story_url="https://cdn.example.com/s")), "story_url", "https://cdn.example.com/s"),
        (sent(**flags(external_error="131047: re-engagement")), "external_error", "131047: re-engagement"),
    ],
)  # fmt: skip
def test_a_flag_is_told_as_an_attribute(
    event: dict[str, Any], attribute: str, value: object
) -> None:
    assert understood(event).attributes.get(attribute) == value


# answers to forms


CHOICE = payload("chatwoot", "widget_choice_submitted.json")
QUESTION = {
    **CHOICE,
    "event": "message_created",
    "content_attributes": {"items": CHOICE["content_attributes"]["items"]},
}


def answer(**content_attributes: Any) -> dict[str, Any]:
    return {**CHOICE, "content_attributes": content_attributes}


def lane_of(*events: dict[str, Any]) -> list[Outcome]:
    claimed: set[bytes] = set()
    became = []
    for offset, event in enumerate(events):
        (provider_id,) = catalogue.identify("chatwoot", body(event))
        of = arrival(raw("chatwoot", provider_id, body(event)), offset=offset)
        outcome = dedupe(of, claimed=claimed, read=catalogue.read, now=NOW)
        if isinstance(outcome, Forward):
            claimed.update(outcome.claims)
        became.append(outcome)
    return became


def messages(outcomes: list[Outcome]) -> list[EnrichedMessage]:
    return [
        output.record
        for one in outcomes
        if isinstance(one, Forward)
        for output in one.outputs
        if isinstance(output.record, EnrichedMessage)
    ]


def test_a_choice_is_a_message_of_the_customer() -> None:
    found = understood(CHOICE)
    assert (found.role, found.direction, found.kind, found.content) == (
        "user",
        "inbound",
        "interactive",
        "Por la tarde",
    )
    assert (found.sender_id, found.sender_name) == ("9102", "Leo Sample")
    assert found.conversation_id == understood(QUESTION).conversation_id
    assert found.provider_message_id.startswith("7/830101/submitted-")
    assert found.attributes["submitted"] == {
        "question_id": "830101",
        "values": [{"title": "Por la tarde", "value": "pm"}],
    }
    assert found.attributes["in_reply_to"] == "830101"
    assert found.attributes["quoted"] == {"id": "830101", "text": "¿A qué hora le viene bien?"}


def test_an_answer_occurred_when_the_question_was_changed() -> None:
    found = understood(CHOICE)
    assert found.occurred_at is not None
    assert found.occurred_at.isoformat() == "2026-07-14T10:06:30.250000+00:00"
    elsewhere = {**CHOICE, "conversation": {**CHOICE["conversation"], "messages": []}}
    assert understood(elsewhere).occurred_at is None


@pytest.mark.parametrize(
    ("content_attributes", "content"),
    [
        (
            {"submitted_values": [{"title": "A", "value": "a"}, {"title": "B", "value": "b"}]},
            "A\nB",
        ),
        ({"submitted_values": [{"value": "solo valor"}]}, "solo valor"),
        ({"submitted_values": [{"name": "edad", "value": 7}]}, "edad: 7"),
        (
            {"submitted_values": [{"name": "ok", "value": ""}, {"name": "n", "value": "1"}]},
            "ok: \nn: 1",
        ),
        ({"submitted_values": {"csat_survey_response": {"rating": 5}}}, "5"),
        (
            {
                "submitted_values": {
                    "csat_survey_response": {"rating": 1, "feedback_message": "Mal"}
                }
            },
            "1\nMal",
        ),
        (
            {"submitted_values": {"csat_survey_response": {"rating": 4, "feedback_message": ""}}},
            "4",
        ),
        ({"submitted_email": "maya@example.com"}, "maya@example.com"),
        (
            {"submitted_values": [{"name": "ok", "value": True}, {"name": "no", "value": False}]},
            "ok: true\nno: false",
        ),
        (
            {"submitted_values": [{"name": "multi", "value": ["a", 2, True, None]}]},
            "multi: a, 2, true",
        ),
        (
            {"submitted_values": [{"name": "cita", "value": {"día": "lunes", "hora": 9}}]},
            "cita: día: lunes, hora: 9",
        ),
        (
            {
                "submitted_values": [
                    {"name": "x", "value": [{"title": "Sí", "value": "yes"}, {"value": "no"}]}
                ]
            },
            "x: Sí, no",
        ),
        ({"submitted_values": {"title": "Sí", "value": "yes"}}, "Sí"),
        ({"submitted_values": {"name": "edad", "value": 7}}, "edad: 7"),
        (
            {"submitted_values": {"correo": "a@b", "n": 3, "ok": False}},
            "correo: a@b\nn: 3\nok: false",
        ),
        ({"submitted_values": {"name": "Ana", "email": "a@b"}}, "name: Ana\nemail: a@b"),
        ({"submitted_values": ["yes", "no", 3]}, "yes\nno\n3"),
        ({"submitted_values": '[{"name": "a", "value": "b"}]'}, "a: b"),
        ({"submitted_values": '{"a": "b"}'}, "a: b"),
        ({"submitted_values": '{"csat_survey_response": {"rating": 5}}'}, "5"),
    ],
)
def test_every_form_of_answer_is_the_customers_words(
    content_attributes: dict[str, Any], content: str
) -> None:
    found = understood(answer(**content_attributes))
    assert (found.role, found.content) == ("user", content)


@pytest.mark.parametrize(
    "content_attributes",
    [
        {},
        {"submitted_values": None},
        {"submitted_values": []},
        {"submitted_values": {}},
        {"submitted_values": [{}]},
        {"submitted_values": [{"title": "", "value": None}]},
        {"submitted_values": {"csat_survey_response": {"rating": None, "feedback_message": ""}}},
        {"submitted_values": "x"},
        {"submitted_values": "[]"},
        {"submitted_values": "{"},
        {"submitted_values": "[" * 10_000},
        {"submitted_values": 7},
        {"submitted_values": True},
        {"submitted_values": ["", None, []]},
        {"submitted_values": {"campo": None}},
        {"submitted_values": {"title": "", "value": None}},
        {"submitted_email": ""},
        {"submitted_email": None},
    ],
)
def test_an_update_without_an_answer_is_an_update_of_the_question(
    content_attributes: dict[str, Any],
) -> None:
    event = answer(**content_attributes)
    assert catalogue.identify("chatwoot", body(event)) == ("7/830101",)
    found = understood(event)
    assert (found.role, found.is_update) == ("assistant", True)


def test_a_private_note_never_becomes_words_of_a_customer() -> None:
    found = understood({**CHOICE, "private": True})
    assert (found.kind, found.direction) == ("note", "outbound")


def test_the_question_and_its_answer_are_two_messages_in_any_order_and_however_often() -> None:
    status = {**CHOICE, "content_attributes": QUESTION["content_attributes"]}
    for order in set(permutations(range(5))):
        events = [[QUESTION, CHOICE, CHOICE, status, QUESTION][number] for number in order]
        found = messages(lane_of(*events))
        assert sorted(message.role for message in found) == ["assistant", "user"]
        assert {message.content for message in found} == {
            "¿A qué hora le viene bien?",
            "Por la tarde",
        }


def test_another_answer_to_the_same_question_is_another_message() -> None:
    rated = answer(submitted_values={"csat_survey_response": {"rating": 5}})
    told = answer(
        submitted_values={"csat_survey_response": {"rating": 5, "feedback_message": "Gracias"}}
    )
    later = [rated, rated, told, rated, told]
    outcomes = lane_of(*later)
    assert [message.content for message in messages(outcomes)] == ["5", "5\nGracias"]
    assert outcomes.count(Duplicate()) == 3


def test_the_same_answer_in_another_order_of_its_fields_is_the_same_answer() -> None:
    one = answer(submitted_values=[{"title": "A", "value": "a"}])
    other = answer(submitted_values=[{"value": "a", "title": "A"}])
    assert catalogue.identify("chatwoot", body(one)) == catalogue.identify("chatwoot", body(other))


def test_an_answer_in_the_creation_of_a_message_does_not_hide_the_message() -> None:
    event = {**CHOICE, "event": "message_created"}
    assert catalogue.identify("chatwoot", body(event)) == ("7/830101",)
    assert understood(event).role == "assistant"


def test_a_body_with_an_answer_under_the_key_of_its_question_is_kept_aside() -> None:
    found = catalogue.read(raw("chatwoot", "7/830101", body(CHOICE)))
    assert not isinstance(found, ChatMessage | Skip)


def test_an_answer_full_of_unstorable_text_can_be_stored() -> None:
    event = answer(submitted_values=[{"title": "a\0", "value": "x\0"}])
    (message,) = messages(lane_of(event))
    assert message.content == "a\ufffd"
    assert "\0" not in message.content_attributes
