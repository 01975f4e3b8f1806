"""Every event and content type in the providers' documents, with the message expected from it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from connectors.providers import catalogue
from schemas.outcomes import Forward, Quarantine, Skip
from schemas.records import EnrichedMessage, FoundAttachment
from streams.stages.dedupe import dedupe
from tests.unit.events import BUSINESS, CUSTOMER, chatwoot, text_of, understood, verdict, ycloud
from tests.unit.records import NOW, arrival, body, payload, raw

PAIR = "14155550123~12025550147"


def inbound(**message: Any) -> dict[str, Any]:
    """A YCloud message of a customer; without a given type it is a text."""
    said = message if "type" in message else {"type": "text", "text": {"body": "Hola"}, **message}
    return ycloud(**said)


def file(said: str, **fields: Any) -> dict[str, Any]:
    return {"type": said, said: {"link": "https://api.ycloud.com/f", "id": "9", **fields}}


def key_of(event: dict[str, Any]) -> str:
    (found,) = catalogue.identify("chatwoot" if "event" in event else "ycloud", body(event))
    return found


def row_of(event: dict[str, Any]) -> EnrichedMessage:
    """The first version of the message that an event opens."""
    provider = "chatwoot" if "event" in event else "ycloud"
    became = dedupe(
        arrival(raw(provider, key_of(event), body(event))),
        claimed=set(),
        read=catalogue.read,
        now=NOW,
    )
    assert isinstance(became, Forward), became
    message = became.outputs[0].record
    assert isinstance(message, EnrichedMessage)
    return message


# YCloud: the list of event types


@pytest.mark.parametrize(
    ("type", "reason"),
    [
        *(
            (f"whatsapp.group.{what}_update", "not_a_message")
            for what in ("lifecycle", "participants", "settings", "status")
        ),
        *(
            (f"whatsapp.call.{what}", "not_a_message")
            for what in (
                "connect",
                "terminate",
                "status.updated",
                "recording.updated",
                "transcription.updated",
            )
        ),
        ("whatsapp.business_account.updated", "not_a_message"),
        ("whatsapp.phone_number.quality_updated", "not_a_message"),
        ("whatsapp.template.reviewed", "not_a_message"),
        ("whatsapp.flow.status_change", "not_a_message"),
        ("whatsapp.payment.updated", "not_a_message"),
        ("whatsapp.user.preferences", "not_a_message"),
        ("contact.created", "not_a_message"),
        ("contact.attributes_changed", "not_a_message"),
        ("whatsapp.message.updated", "delivery_status"),
        ("messenger.message.updated", "delivery_status"),
        ("sms.message.updated", "delivery_status"),
        ("email.delivery.updated", "delivery_status"),
        ("voice.message.updated", "delivery_status"),
        ("whatsapp.inbound_message.deleted", "unknown_event"),
        ("Whatsapp.Inbound_Message.Received", "unknown_event"),
        ("telepathy.received", "unknown_event"),
    ],
)
def test_a_ycloud_event_that_is_not_a_message_is_skipped_and_keyed_by_its_own_id(
    type: str, reason: str
) -> None:
    event = {"id": "evt_1", "type": type, "whatsappMessage": text_of({})}
    assert (verdict(event), key_of(event)) == (Skip(reason), "evt_1")  # type: ignore[arg-type]


@pytest.mark.parametrize("status", ["accepted", "sent", "delivered", "read", "failed"])
def test_a_status_never_has_its_messages_key_whatever_content_it_repeats(status: str) -> None:
    event = ycloud("whatsapp.message.updated", status=status, **file("image"))
    assert (verdict(event), key_of(event)) == (Skip("delivery_status"), "evt_1")


def test_the_update_of_an_echo_is_keyed_as_the_status_it_is() -> None:
    event = ycloud("whatsapp.echo_message.updated", status="read")
    assert (verdict(event), key_of(event)) == (Skip("echo_without_content"), "evt_1")


@pytest.mark.parametrize(
    "event",
    [
        {"id": "evt_1", "type": "whatsapp.inbound_message.received"},
        {
            "id": "evt_1",
            "type": "whatsapp.inbound_message.received",
            "whatsappInboundMessage": None,
        },
        {"id": "evt_1", "type": "whatsapp.inbound_message.received", "whatsappInboundMessage": []},
        {
            "id": "evt_1",
            "type": "whatsapp.inbound_message.received",
            "whatsappMessage": text_of({}),
        },
        {"id": "evt_1", "type": "whatsapp.smb.message.echoes", "message": text_of({})},
        {"id": "evt_1", "type": "whatsapp.smb.history"},
        {
            "id": "evt_1",
            "type": "messenger.inbound_message.received",
            "whatsappInboundMessage": text_of({}),
        },
    ],
)
def test_a_message_event_without_its_message_is_set_aside_under_its_own_id(
    event: dict[str, Any],
) -> None:
    assert (verdict(event), key_of(event)) == (
        Quarantine("payload_missing", "the event names a message that is not there"),
        "evt_1",
    )


def test_a_messenger_text_is_speech_of_a_person_without_a_phone_number() -> None:
    message = {
        "id": "69a", "metaMessageId": "m_1", "from": "7263549182736451", "to": "102938475610293", "type": "text",
        "text": {"body": " hola "}, "sendTime": "2026-07-14T10:04:00.000Z",
    }  # fmt: skip
    event = {
        "id": "evt_1",
        "type": "messenger.inbound_message.received",
        "messengerInboundMessage": message,
    }
    found = understood(event)
    assert (found.role, found.direction, found.kind, found.content) == (
        "user",
        "inbound",
        "text",
        " hola ",
    )
    assert (found.conversation_id, found.provider_message_id) == (
        "102938475610293~7263549182736451",
        "69a",
    )


@pytest.mark.parametrize(
    ("event", "direction", "role"),
    [
        ({"whatsappInboundMessage": text_of({})}, "inbound", "user"),
        ({"whatsappInboundMessage": text_of({}), "whatsappMessage": None}, "inbound", "user"),
        ({"whatsappMessage": text_of({"from": BUSINESS, "to": CUSTOMER})}, "outbound", "agent"),
        (
            {
                "whatsappInboundMessage": None,
                "whatsappMessage": text_of({"from": BUSINESS, "to": CUSTOMER}),
            },
            "outbound",
            "agent",
        ),
        (
            {
                "whatsappInboundMessage": {},
                "whatsappMessage": text_of({"from": BUSINESS, "to": CUSTOMER}),
            },
            "outbound",
            "agent",
        ),
    ],
)
def test_in_history_the_object_that_is_there_says_who_spoke(
    event: dict[str, Any], direction: str, role: str
) -> None:
    found = understood({"id": "evt_1", "type": "whatsapp.smb.history", **event})
    assert (found.direction, found.role, found.conversation_id, found.is_history) == (
        direction,
        role,
        PAIR,
        True,
    )


@pytest.mark.parametrize("body_of", [{}, {"text": None}, {"text": {}}, {"text": {"body": None}}])
@pytest.mark.parametrize(
    "type",
    [
        "whatsapp.smb.message.echoes",
        "whatsapp.smb.message.created",
        "whatsapp.echo_message.created",
    ],
)
def test_an_echo_without_its_text_and_with_spaces_in_its_phones_is_a_row(
    type: str, body_of: dict[str, Any]
) -> None:
    found = understood(ycloud(type, type="text", bizType="whatsapp", status="sent", **body_of))
    assert (found.kind, found.content, found.role, found.direction, found.conversation_id) == (
        "text",
        None,
        "agent",
        "outbound",
        PAIR,
    )


@pytest.mark.parametrize(
    ("ids", "aliases"),
    [
        ({"toUserId": "US.1"}, ("14155550123~US.1",)),
        ({"recipientUserId": "US.1"}, ("14155550123~US.1",)),
        (
            {"toUserId": "US.1", "toParentUserId": "US.ENT.2"},
            ("14155550123~US.1", "14155550123~US.ENT.2"),
        ),
        ({"toUserId": "US.1", "recipientUserId": "US.1"}, ("14155550123~US.1",)),
        ({"fromUserId": "US.1"}, ()),
    ],
)
def test_an_echo_is_in_the_customers_conversation_under_all_its_names(
    ids: dict[str, str], aliases: tuple[str, ...]
) -> None:
    found = understood(
        ycloud("whatsapp.smb.message.echoes", type="text", text={"body": "Hola"}, **ids)
    )
    assert (found.conversation_id, found.aliases) == (PAIR, aliases)


# YCloud: who


@pytest.mark.parametrize(
    ("ends", "conversation_id", "aliases", "sender_id"),
    [
        ({"from": None, "fromUserId": "US.1"}, "14155550123~US.1", (), "US.1"),
        ({"from": "", "fromUserId": "US.1"}, "14155550123~US.1", (), "US.1"),
        ({"from": None, "fromParentUserId": "US.ENT.2"}, "14155550123~US.ENT.2", (), "US.ENT.2"),
        (
            {"from": None, "fromUserId": "US.1", "fromParentUserId": "US.ENT.2"},
            "14155550123~US.1",
            ("14155550123~US.ENT.2",),
            "US.1",
        ),
        (
            {"fromUserId": "US.1", "fromParentUserId": "US.ENT.2"},
            PAIR,
            ("14155550123~US.1", "14155550123~US.ENT.2"),
            "12025550147",
        ),
        ({"from": 12025550147, "to": 14155550123}, PAIR, (), "12025550147"),
        ({"from": "\u202a+1 202\u2011555\u00a00147\u202c"}, PAIR, (), "12025550147"),
        (
            {"from": "US.1037313505747798"},
            "14155550123~US.1037313505747798",
            (),
            "US.1037313505747798",
        ),
        (
            {"from": "CUSTOMER-PHONE-NUMBER"},
            "14155550123~CUSTOMER-PHONE-NUMBER",
            (),
            "CUSTOMER-PHONE-NUMBER",
        ),
        (
            {"groupId": "120363345678901234@g.us", "from": None, "fromUserId": "US.1"},
            "group~120363345678901234-g.us.fa3d8f80fa578963",
            (),
            "US.1",
        ),
        (
            {"groupId": "Y2FwaV9ncm91cDo="},
            "group~Y2FwaV9ncm91cDo-.564878bdc9cc9c7f",
            (),
            "12025550147",
        ),
        ({"groupId": ""}, PAIR, (), "12025550147"),
        ({"groupId": 77}, "group~77", (), "12025550147"),
    ],
)
def test_who_a_ycloud_message_is_from(
    ends: dict[str, Any], conversation_id: str, aliases: tuple[str, ...], sender_id: str
) -> None:
    found = understood(inbound(**ends))
    assert (found.conversation_id, found.aliases, found.sender_id) == (
        conversation_id,
        aliases,
        sender_id,
    )


@pytest.mark.parametrize("number", [12025550147.0, 1.2e10, float("inf"), True, [], {}])
def test_a_phone_number_without_digits_belongs_to_nobody(number: object) -> None:
    assert verdict(inbound(**{"from": number})) == Quarantine(
        "conversation_missing", "neither a phone number nor a user id"
    )


def test_a_ycloud_message_to_nobody_known_is_set_aside() -> None:
    assert isinstance(verdict(inbound(to=None, wabaId=None)), Quarantine)


def test_the_name_and_the_user_name_of_a_customer_are_kept() -> None:
    found = understood(inbound(customerProfile={"name": "Maya\0", "username": "@maya"}))
    assert (found.sender_name, found.attributes["username"]) == ("Maya\ufffd", "@maya")


# YCloud: what


@pytest.mark.parametrize(
    ("message", "kind", "content", "attachments"),
    [
        (file("image", caption="mira"), "image", "mira", ["image"]),
        (file("video", caption=""), "video", None, ["video"]),
        (file("audio", mime_type="audio/ogg; codecs=opus"), "audio", None, ["audio"]),
        (file("voice"), "audio", None, ["audio"]),
        ({"type": "voice", "audio": {"link": "https://api.ycloud.com/f", "id": "9"}}, "audio", None, ["audio"]),
        (file("document", mime_type="application/pdf", filename="../../a\u202efdp.exe", caption="c"), "document", "c", ["document"]),
        (file("document", mime_type="image/heic"), "document", None, ["document"]),
        (file("document", mime_type="AUDIO/AMR"), "audio", None, ["audio"]),
        (file("document", mime_type="application/ogg"), "audio", None, ["audio"]),
        (file("video", mime_type="audio/mp4"), "audio", None, ["audio"]),
        (file("audio", mime_type="video/mp4"), "audio", None, ["audio"]),
        (file("sticker", mime_type="image/webp", metadata={"is-animated": 1}), "sticker", None, ["sticker"]),
        ({"type": "image"}, "image", None, ["image"]),
        ({"type": "image", "image": "no object"}, "image", None, ["image"]),
        ({"type": "location", "location": {"latitude": 1, "longitude": 2, "name": "n"}}, "location", None, ["location"]),
        ({"type": "location"}, "location", None, ["location"]),
        ({"type": "contacts", "contacts": [{"name": {"formatted_name": "A"}}, {}]}, "contact", None, ["contact", "contact"]),
        ({"type": "contacts", "contacts": []}, "contact", None, ["contact"]),
        ({"type": "contacts"}, "contact", None, ["contact"]),
        ({"type": "contacts", "contacts": [{}] * 5_000}, "contact", None, ["contact"] * 50),
        ({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "b1", "title": "Yes"}}}, "interactive", "Yes", []),
        ({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "b1"}}}, "interactive", None, []),
        ({"type": "interactive"}, "interactive", None, []),
        ({"type": "button", "button": {"payload": "b1", "text": "Sí"}}, "interactive", "Sí", []),
        ({"type": "button", "button": {"payload": "b1"}}, "interactive", None, []),
        ({"type": "order", "order": {"text": "rápido"}}, "order", "rápido", []),
        ({"type": "order", "order": {"text": ""}}, "order", None, []),
        ({"type": "order"}, "order", None, []),
        ({"type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": "👍🏽"}}, "reaction", "👍🏽", []),
        ({"type": "unsupported", "unsupported": {"type": "poll_creation"}}, "unsupported", None, []),
        ({"type": "errors", "errors": [{"code": 131051}]}, "unsupported", None, []),
        ({"type": "ephemeral"}, "unsupported", None, []),
        ({"type": 7}, "unsupported", None, []),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else None,
)  # fmt: skip
def test_each_content_type_of_ycloud(
    message: dict[str, Any], kind: str, content: str | None, attachments: list[str]
) -> None:
    found = understood(inbound(**message))
    assert (found.kind, found.content, [one.type for one in found.attachments]) == (
        kind,
        content,
        attachments,
    )
    assert (found.role, found.direction, found.conversation_id) == ("user", "inbound", PAIR)


@pytest.mark.parametrize(
    "type",
    ["whatsapp.smb.message.echoes", "whatsapp.inbound_message.received", "whatsapp.smb.history"],
)
@pytest.mark.parametrize(
    ("said", "reason"), [("system", "system_event"), ("request_welcome", "welcome_request")]
)
def test_what_is_not_speech_is_skipped_and_claims_nothing(
    type: str, said: str, reason: str
) -> None:
    assert verdict(ycloud(type, type=said)) == Skip(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "content", "attributes"),
    [
        ({"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": '{"a": 1}'}},
         "Sent", {"type": "nfm_reply", "name": "flow", "response_json": '{"a": 1}'}),
        ({"type": "nfm_reply", "nfm_reply": {"name": "flow", "response_json": {"a": "ñ"}}}, None, {"type": "nfm_reply", "name": "flow", "response_json": '{"a": "ñ"}'}),
        ({"type": "nfm_reply", "nfm_reply": {"response_json": '"\\u0000"'}}, None, {"type": "nfm_reply", "response_json": '"\\u0000"'}),
        ({"type": "call_permission_reply", "call_permission_reply": {"response": "accept", "expiration_timestamp": 1784023500, "is_permanent": True}},
         None, {"type": "call_permission_reply", "response": "accept", "expiration_timestamp": "1784023500", "is_permanent": True}),
    ],
)  # fmt: skip
def test_an_interactive_answer_is_its_title_or_text_and_never_its_id(
    reply: dict[str, Any], content: str | None, attributes: dict[str, Any]
) -> None:
    found = understood(inbound(type="interactive", interactive=reply))
    assert (found.content, found.attributes["interactive"]) == (content, attributes)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"product_retailer_id": "r", "quantity": 2, "item_price": 30.5, "currency": "USD"},
            ("r", "2", "30.5", "USD"),
        ),
        (
            {"product_retailer_id": "r", "quantity": "2", "item_price": "30.50", "currency": "USD"},
            ("r", "2", "30.50", "USD"),
        ),
    ],
)
def test_the_numbers_of_an_order_may_be_strings(
    item: dict[str, Any], expected: tuple[str, ...]
) -> None:
    found = understood(inbound(type="order", order={"catalog_id": 1, "product_items": [item]}))
    assert tuple(found.attributes["order"]["items"][0].values()) == expected


def test_what_a_message_refers_to_is_kept() -> None:
    context = {
        "from": "14155550123",
        "frequently_forwarded": True,
        "referred_product": {"catalog_id": "c", "product_retailer_id": "r"},
    }
    referral = {
        "source_url": "https://fb.me/x",
        "headline": "Oferta",
        "ctwa_clid": "z",
        "image_url": "https://fb.me/i.jpg",
    }
    found = understood(inbound(context=context, referral=referral))
    assert found.attributes["forwarded"] is True
    assert found.attributes["product"] == {"catalog_id": "c", "product_retailer_id": "r"}
    assert found.attributes["referral"] == {
        "source_url": "https://fb.me/x",
        "headline": "Oferta",
        "ctwa_clid": "z",
    }
    assert found.attachments == ()


def test_the_code_of_an_error_may_be_a_number_or_a_string() -> None:
    for code in (131051, "131051"):
        found = understood(inbound(type="unsupported", errors=[{"code": code, "title": "t"}]))
        assert found.attributes["unsupported"]["errors"] == [{"code": "131051", "title": "t"}]


@pytest.mark.parametrize("declared", ["A" * 43 + "=", "00" * 32])
def test_a_digest_may_be_base64_or_hex(declared: str) -> None:
    (attachment,) = understood(inbound(**file("image", sha256=declared))).attachments
    assert attachment.declared_sha256 == "00" * 32


# Chatwoot: the list of events


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


# Chatwoot: who, and what nobody but the business may see


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


# Chatwoot: what


@pytest.mark.parametrize(
    ("fields", "kind", "content", "status"),
    [
        ({"content": "Hola"}, "text", "Hola", "complete"),
        (
            {"content": "<p>a &lt; b</p>", "content_type": "incoming_email"},
            "text",
            "<p>a &lt; b</p>",
            "complete",
        ),
        ({"content": "  "}, "text", "  ", "complete"),
        ({"content": ""}, "unsupported", None, "degraded"),
        ({"content": None}, "unsupported", None, "degraded"),
        ({"content": None, "attachments": None}, "unsupported", None, "degraded"),
        ({"content": None, "message_type": "outgoing"}, "unsupported", None, "degraded"),
        (
            {"content": None, "content_attributes": {"is_unsupported": True}},
            "unsupported",
            None,
            "degraded",
        ),
        (
            {"content": None, "content_attributes": {"deleted": True}},
            "unsupported",
            None,
            "complete",
        ),
        (
            {"content": "This message was deleted", "content_attributes": {"deleted": True}},
            "text",
            "This message was deleted",
            "complete",
        ),
        (
            {"content": "Elige", "content_type": "input_select", "message_type": "outgoing"},
            "interactive",
            "Elige",
            "complete",
        ),
        ({"content": "Call", "content_type": "voice_call"}, "text", "Call", "complete"),
        ({"content": None, "content_type": "sticker"}, "unsupported", None, "degraded"),
    ],
)
def test_a_chatwoot_message_without_attachments(
    fields: dict[str, Any], kind: str, content: str | None, status: str
) -> None:
    message = row_of(chatwoot(**fields))
    assert (message.kind, message.content, message.status) == (kind, content, status)


def test_a_deleted_message_says_so() -> None:
    assert (
        understood(chatwoot(content="x", content_attributes={"deleted": True})).attributes[
            "deleted"
        ]
        is True
    )


BLOB = "https://chat.example.com/rails/active_storage/blobs/redirect/x--y/"


@pytest.mark.parametrize(
    ("attachment", "type", "reason"),
    [
        ({"file_type": "image", "extension": None, "data_url": BLOB + "a.jpg"}, "image", None),
        ({"file_type": "image", "data_url": BLOB + "AnimatedSticker.tgs"}, "image", None),
        ({"file_type": "audio", "content_type": "video/mp4", "data_url": BLOB + "a.mp4"}, "audio", None),
        ({"file_type": "file", "content_type": "audio/opus", "data_url": BLOB + "a.opus"}, "audio", None),
        ({"file_type": "file", "content_type": "application/ogg; codecs=opus", "data_url": BLOB + "a.oga"}, "audio", None),
        ({"file_type": "audio", "data_url": BLOB + "a.oga", "file_size": 0}, "audio", None),
        ({"file_type": "video", "content_type": "video/mp4", "data_url": BLOB + "a.mp4"}, "video", None),
        ({"file_type": "audio", "data_url": ""}, "audio", "media_unavailable"),
        ({"file_type": "image", "data_url": None}, "image", "media_unavailable"),
        ({"file_type": "image"}, "image", "media_unavailable"),
        ({"file_type": "share", "data_url": "https://www.facebook.com/reel/1"}, "other", "web_page"),
        ({"file_type": "reel", "data_url": "https://m.facebook.com/reel/1"}, "other", "web_page"),
        ({"file_type": "ig_reel", "data_url": "https://www.instagram.com/reel/1/"}, "other", "web_page"),
        ({"file_type": "ig_reel", "data_url": "https://lookaside.fbsbx.com/ig?asset_id=1"}, "video", None),
        ({"file_type": "ig_story", "data_url": "https://lookaside.fbsbx.com/ig?asset_id=1", "content_type": "image/jpeg"}, "image", None),
        ({"file_type": "story_mention", "data_url": "https://lookaside.fbsbx.com/ig?asset_id=1"}, "image", None),
        ({"file_type": "share", "data_url": "https://facebook.com.evil.example/x"}, "other", None),
        ({"file_type": "fallback", "fallback_title": "t", "data_url": "https://shop.example.com/"}, "other", "web_page"),
        ({"file_type": "embed", "data_url": "https://www.youtube.com/embed/1"}, "other", "web_page"),
        ({"file_type": "location", "coordinates_lat": 0, "coordinates_long": 0, "data_url": "https://maps.example.com/"}, "location", "no_file"),
        ({"file_type": "contact", "fallback_title": "+1", "meta": {"firstName": "M"}}, "contact", "no_file"),
        ({"file_type": 7, "data_url": BLOB + "a"}, "other", None),
    ],
)  # fmt: skip
def test_each_attachment_type_of_chatwoot(
    attachment: dict[str, Any], type: str, reason: str | None
) -> None:
    (found,) = understood(chatwoot(attachment)).attachments
    assert (found.type, found.reason) == (type, reason)


def test_a_post_that_was_shared_once_is_one_attachment_whatever_it_is_called() -> None:
    cdn = "https://lookaside.fbsbx.com/ig?asset_id=1"
    twice = [
        {"file_type": "share", "data_url": cdn},
        {"file_type": "ig_post", "data_url": cdn, "content_type": "image/jpeg"},
    ]
    place = {"file_type": "location", "coordinates_lat": 1.5, "coordinates_long": 2}
    found = understood(chatwoot(*twice, place, *twice))
    assert [one.type for one in found.attachments] == ["other", "location"]
    assert found.attributes["locations"] == [{"latitude": "1.5", "longitude": "2"}]


def test_the_same_photograph_sent_twice_is_two_attachments() -> None:
    photograph = {"file_type": "image", "data_url": BLOB + "a.jpg"}
    assert len(understood(chatwoot(photograph, photograph)).attachments) == 2


@pytest.mark.parametrize("attachments", [{}, "image", 7, [None, "x", 7, []]])
def test_attachments_of_another_shape_are_none(attachments: object) -> None:
    assert understood(chatwoot(content="Hola", attachments=attachments)).attachments == ()


@pytest.mark.parametrize(
    "name", ["nota%20de%20voz.oga", "..%2F..%2Fetc%2Fpasswd", "a%E2%80%AEgpj.exe", "%FF%00"]
)
def test_the_name_of_a_file_is_kept_as_a_name_and_storable(name: str) -> None:
    (found,) = understood(chatwoot({"file_type": "file", "data_url": BLOB + name})).attachments
    assert found.filename is not None
    assert "\0" not in found.filename and found.filename.encode()


@pytest.mark.parametrize(
    "created_at",
    [
        "2026-07-14T10:05:00.000Z",
        1784023500,
        1784023500.0,
        "1784023500",
        "2026-07-14T12:05:00+02:00",
    ],
)
def test_the_time_of_a_chatwoot_message_in_any_of_its_forms(created_at: object) -> None:
    assert understood(chatwoot(created_at=created_at)).occurred_at == NOW


# what is said to be far away in time


@pytest.mark.parametrize(
    "created_at",
    [
        "9999-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        1,
        253402300799,
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        0,
        -1,
        None,
        "ayer",
    ],
)
def test_instead_of_an_absurd_time_a_message_has_that_of_its_arrival(created_at: object) -> None:
    assert row_of(chatwoot(created_at=created_at)).occurred_at == NOW


# unstorable text, wherever it stands


def poisoned(document: Any) -> Any:
    """Appends U+0000 and a lone surrogate to every string."""
    match document:
        case dict():
            return {
                key: poisoned(value) if key not in KEPT else value
                for key, value in document.items()
            }
        case list():
            return [poisoned(value) for value in document]
        case str():
            return document + "\0\ud800"
        case _:
            return document


KEPT = frozenset(
    {
        "event",
        "message_type",
        "type",
        "file_type",
        "content_type",
        "wamid",
        "id",
        "data_url",
        "link",
        "groupId",
    }
)
"""Fields that decide how the rest is read. They stay unchanged, all others are free text."""


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("ycloud", "text_both_ids"), ("ycloud", "document_pdf"), ("ycloud", "contacts_multi"), ("ycloud", "order_numbers"),
        ("ycloud", "interactive_button_reply"), ("ycloud", "location_docs"), ("ycloud", "unsupported_131051_docs"),
        ("ycloud", "text_reply_context"), ("chatwoot", "whatsapp_image_caption"), ("chatwoot", "whatsapp_location"),
        ("chatwoot", "facebook_shared_post_fallback"), ("chatwoot", "whatsapp_audio_transcribed_update"), ("chatwoot", "instagram_story_mention"),
    ],
)  # fmt: skip
def test_every_text_of_a_row_is_storable(provider: str, name: str) -> None:
    content = json.dumps(poisoned(payload(provider, f"{name}.json"))).encode()
    (provider_id,) = catalogue.identify(provider, content)
    became = dedupe(
        arrival(raw(provider, provider_id, content)), claimed=set(), read=catalogue.read, now=NOW
    )
    assert isinstance(became, Forward), became
    for record in (output.record for output in became.outputs if output.topic != "enrichments"):
        written = repr(record)
        assert "\\x00" not in written and "\\ud800" not in written
        assert "\\\\u0000" not in written and "\\\\ud800" not in written
    assert "\ufffd\ufffd" in repr(became.outputs[0].record)


def test_an_attachment_that_only_its_id_can_give_is_asked_for() -> None:
    message = row_of(inbound(type="image", image={"id": "9"}))
    assert [(one.status, one.original_url) for one in message.attachments] == [("pending", None)]
    assert (
        FoundAttachment(type="image", media_id="9")
        == understood(inbound(type="image", image={"id": "9"})).attachments[0]
    )
