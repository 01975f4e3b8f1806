"""Each event of YCloud becomes a message of the right conversation, or is skipped or set aside."""

from typing import Any

import pytest

from schemas.outcomes import Quarantine, Skip
from tests.unit.events import (
    BUSINESS,
    CUSTOMER,
    PAIR,
    file,
    inbound,
    key_of,
    text_of,
    understood,
    verdict,
    ycloud,
)


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


# --- who


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
