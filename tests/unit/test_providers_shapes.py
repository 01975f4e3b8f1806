"""Forms that providers send and that the captured samples do not contain."""

from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.providers.adapter import moment
from schemas.outcomes import Quarantine, Skip
from schemas.records import FoundAttachment
from tests.unit.events import BUSINESS, CUSTOMER, chatwoot, text_of, understood, verdict, ycloud
from tests.unit.records import payload

# YCloud: who talks to whom


@pytest.mark.parametrize(
    ("fields", "conversation_id", "aliases", "sender_id"),
    [
        ({}, "14155550123~12025550147", (), "12025550147"),
        (
            {"from": "12025550147", "to": "14155550123"},
            "14155550123~12025550147",
            (),
            "12025550147",
        ),
        ({"from": None, "fromUserId": "US.1"}, "14155550123~US.1", (), "US.1"),
        ({"fromUserId": "US.1"}, "14155550123~12025550147", ("14155550123~US.1",), "12025550147"),
        (
            {"from": None, "fromUserId": "US/1 ñ"},
            "14155550123~US-1--.e825f51bbf7e0b5b",
            (),
            "US/1 ñ",
        ),
        ({"to": None, "wabaId": "246"}, "246~12025550147", (), "12025550147"),
        ({"groupId": "1203@g.us"}, "group~1203-g.us.b2488b046c9af1b7", (), "12025550147"),
    ],
    ids=[
        "phones with spaces",
        "digits",
        "user id only",
        "both",
        "a user id of any characters",
        "no business phone",
        "group",
    ],
)
def test_a_ycloud_conversation_is_named_by_phones_else_by_the_user_id(
    fields: dict[str, Any], conversation_id: str, aliases: tuple[str, ...], sender_id: str
) -> None:
    found = understood(ycloud() | {"whatsappInboundMessage": text_of(fields)})
    assert (found.conversation_id, found.aliases, found.sender_id) == (
        conversation_id,
        aliases,
        sender_id,
    )


def test_a_ycloud_message_of_nobody_is_quarantined() -> None:
    found = verdict(ycloud() | {"whatsappInboundMessage": text_of({"from": None})})
    assert found == Quarantine("conversation_missing", "neither a phone number nor a user id")


@pytest.mark.parametrize(
    "type",
    [
        "whatsapp.smb.message.echoes",
        "whatsapp.smb.message.created",
        "whatsapp.echo_message.created",
    ],
)
def test_what_the_business_sends_from_its_phone_is_an_agents(type: str) -> None:
    found = understood(
        ycloud(type) | {"whatsappMessage": text_of({"from": BUSINESS, "to": CUSTOMER})}
    )
    assert (found.role, found.direction, found.conversation_id) == (
        "agent",
        "outbound",
        "14155550123~12025550147",
    )


def test_an_update_of_an_echo_without_content_is_skipped() -> None:
    assert verdict(ycloud("whatsapp.echo_message.updated", status="read")) == Skip(
        "echo_without_content"
    )


def test_an_echo_of_a_text_that_is_not_there_has_no_content() -> None:
    found = understood(
        ycloud("whatsapp.smb.message.echoes")
        | {"whatsappMessage": text_of({"from": BUSINESS, "to": CUSTOMER, "text": None})}
    )
    assert (found.kind, found.content) == ("text", None)


@pytest.mark.parametrize(
    ("key", "direction"), [("whatsappInboundMessage", "inbound"), ("whatsappMessage", "outbound")]
)
def test_history_goes_both_ways_and_is_known_as_history(key: str, direction: str) -> None:
    found = understood({"id": "evt_1", "type": "whatsapp.smb.history", key: text_of({})})
    assert (found.direction, found.is_history) == (direction, True)


# YCloud: what is said


@pytest.mark.parametrize(
    ("message", "kind", "content", "attributes"),
    [
        (
            {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": '{"a":1}'}}},
            "interactive", "Sent", {"interactive": {"type": "nfm_reply", "name": "flow", "response_json": '{"a":1}'}, "flow": {"name": "flow", "answers": {"a": "1"}}},
        ),
        (
            {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "r1", "title": "Corte", "description": "30 min"}}},
            "interactive", "Corte", {"interactive": {"type": "list_reply", "id": "r1", "title": "Corte", "description": "30 min"}},
        ),
        (
            {"type": "interactive", "interactive": {"list_reply": {"id": "r1", "title": "Corte"}}},
            "interactive", "Corte", {"interactive": {"id": "r1", "title": "Corte"}},
        ),
        ({"type": "button", "button": {"payload": "p1", "text": "Sí"}}, "interactive", "Sí", {"button": {"payload": "p1", "text": "Sí"}}),
        (
            {"type": "order", "order": {"catalog_id": "c", "product_items": [{"product_retailer_id": "r", "quantity": "2", "item_price": "30.50"}]}},
            "order", None, {"order": {"catalog_id": "c", "items": [{"product_retailer_id": "r", "quantity": "2", "item_price": "30.50"}]}},
        ),
        ({"type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": "👍"}}, "reaction", "👍", {"reaction": {"message_id": "wamid.0", "emoji": "👍"}}),
        (
            {"type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": ""}},
            "reaction", None, {"reaction": {"message_id": "wamid.0", "removed": True}},
        ),
        ({"type": "reaction", "reaction": {"message_id": "wamid.0"}}, "reaction", None, {"reaction": {"message_id": "wamid.0", "removed": True}}),
        (
            {"type": "location", "location": {"latitude": 1.4, "longitude": -103}},
            "location", None, {"location": {"latitude": "1.4", "longitude": "-103"}, "locations": [{"latitude": "1.4", "longitude": "-103"}]},
        ),
        ({"type": "text", "text": {"body": "a\0b"}}, "text", "a\ufffdb", {}),
        ({"type": "text", "text": {"body": ""}}, "text", None, {}),
        ({"type": "text", "text": "no object"}, "text", None, {}),
        ({"type": "ephemeral"}, "unsupported", None, {"unsupported": {"type": "ephemeral"}}),
        ({"type": None}, "unsupported", None, {"unsupported": {}}),
        (
            {"type": "text", "text": {"body": "Hola"}, "context": {"id": "wamid.0", "forwarded": True}},
            "text", "Hola", {"reply_to": "wamid.0", "quoted": {"id": "wamid.0"}, "forwarded": True},
        ),
    ],
)  # fmt: skip
def test_what_a_ycloud_message_says(
    message: dict[str, Any], kind: str, content: str | None, attributes: dict[str, Any]
) -> None:
    event = ycloud()
    event["whatsappInboundMessage"].update(message)
    found = understood(event)
    said = {
        name: value
        for name, value in found.attributes.items()
        if name not in ("event_id", "event_type", "user_id")
    }
    assert (found.kind, found.content, said) == (kind, content, attributes)


@pytest.mark.parametrize(
    ("said", "file", "attachment"),
    [
        ("sticker", {"mime_type": "image/webp"}, {"type": "sticker", "mime_type": "image/webp"}),
        ("video", {"mime_type": "video/mp4"}, {"type": "video", "mime_type": "video/mp4"}),
        (
            "voice",
            {"mime_type": "audio/ogg; codecs=opus"},
            {"type": "audio", "mime_type": "audio/ogg; codecs=opus"},
        ),
        (
            "document",
            {"mime_type": "audio/mpeg", "filename": "a.mp3"},
            {"type": "audio", "mime_type": "audio/mpeg", "filename": "a.mp3"},
        ),
        ("image", {"sha256": "A" * 43 + "="}, {"type": "image", "declared_sha256": "00" * 32}),
        ("image", {"sha256": "no digest"}, {"type": "image"}),
    ],
)
def test_a_ycloud_file_is_announced(
    said: str, file: dict[str, Any], attachment: dict[str, Any]
) -> None:
    event = ycloud()
    event["whatsappInboundMessage"].update(
        {"type": said, said: {"link": "https://api.ycloud.com/f", "id": "9", **file}}
    )
    assert understood(event).attachments == (
        FoundAttachment(url="https://api.ycloud.com/f", media_id="9", **attachment),
    )


@pytest.mark.parametrize(
    "link", [None, "", "ftp://host/f", "file:///etc/passwd", 7, "https://h/" + "x" * 9_000]
)
def test_a_file_without_a_usable_link_is_fetched_by_its_id_and_without_either_known_not_to_come(
    link: object,
) -> None:
    event = ycloud()
    event["whatsappInboundMessage"].update({"type": "image", "image": {"link": link, "id": "9"}})
    assert understood(event).attachments == (FoundAttachment(type="image", media_id="9"),)
    event["whatsappInboundMessage"].update({"image": {"link": link}})
    assert understood(event).attachments == (
        FoundAttachment(type="image", reason="media_unavailable"),
    )


# Chatwoot


@pytest.mark.parametrize(
    ("fields", "role", "direction", "kind"),
    [
        ({"message_type": 0}, "user", "inbound", "text"),
        ({"message_type": "0"}, "user", "inbound", "text"),
        ({"message_type": 1, "sender": {"id": 1, "type": "user"}}, "agent", "outbound", "text"),
        ({"message_type": 3, "sender": None}, "assistant", "outbound", "text"),
        ({"message_type": "outgoing", "sender": None}, "assistant", "outbound", "text"),
        (
            {"message_type": "outgoing", "sender": {"id": 1, "type": "captain_assistant"}},
            "assistant",
            "outbound",
            "text",
        ),
        (
            {
                "message_type": "outgoing",
                "sender": None,
                "content_attributes": {"external_echo": True},
            },
            "agent",
            "outbound",
            "text",
        ),
        ({"message_type": "incoming", "sender": None}, "user", "inbound", "text"),
        ({"message_type": "incoming", "private": True}, "user", "outbound", "note"),
        (
            {"message_type": "outgoing", "private": True, "sender": {"id": 1, "type": "user"}},
            "agent",
            "outbound",
            "note",
        ),
        (
            {"message_type": "incoming", "content_type": "input_select"},
            "user",
            "inbound",
            "interactive",
        ),
    ],
)
def test_who_speaks_in_chatwoot(
    fields: dict[str, Any], role: str, direction: str, kind: str
) -> None:
    found = understood(chatwoot(**fields))
    assert (found.role, found.direction, found.kind) == (role, direction, kind)


@pytest.mark.parametrize("message_type", [2, "2", "activity"])
def test_an_activity_is_not_speech(message_type: object) -> None:
    assert verdict(chatwoot(message_type=message_type)) == Skip("system_event")


@pytest.mark.parametrize("message_type", [None, 4, "whisper", [], {}, 1.5])
def test_a_message_type_without_a_sane_reading_is_quarantined(message_type: object) -> None:
    assert verdict(chatwoot(message_type=message_type)) == Quarantine(
        "field_invalid", "message_type"
    )


def test_a_chatwoot_message_without_a_conversation_is_quarantined() -> None:
    assert isinstance(found := verdict(chatwoot(conversation=None)), Quarantine)
    assert found.reason == "conversation_missing"


URL = "https://chat.example.com/rails/active_storage/blobs/redirect/x--y/nota%20de%20voz.oga"


@pytest.mark.parametrize(
    ("attachment", "expected"),
    [
        ({"file_type": "audio", "data_url": URL}, FoundAttachment(type="audio", url=URL, filename="nota de voz.oga")),
        ({"file_type": "file", "content_type": "application/ogg", "data_url": URL},
         FoundAttachment(type="audio", url=URL, filename="nota de voz.oga", mime_type="application/ogg")),
        ({"file_type": "audio", "data_url": ""}, FoundAttachment(type="audio", reason="media_unavailable")),
        ({"file_type": "video", "data_url": "https://cdn.example.com/v"}, FoundAttachment(type="video", url="https://cdn.example.com/v")),
        ({"file_type": "location", "coordinates_lat": 1.5, "data_url": None}, FoundAttachment(type="location", reason="no_file")),
        ({"file_type": "contact", "fallback_title": "+1 202"}, FoundAttachment(type="contact", reason="no_file")),
        ({"file_type": "embed", "data_url": "https://e.example.com"}, FoundAttachment(type="other", url="https://e.example.com", reason="web_page")),
        ({"file_type": "ig_reel", "data_url": "https://c.example.com/r"}, FoundAttachment(type="video", url="https://c.example.com/r")),
        ({"file_type": "hologram", "data_url": "https://c.example.com/r"}, FoundAttachment(type="other", url="https://c.example.com/r")),
        ({"data_url": "https://c.example.com/r"}, FoundAttachment(type="document", url="https://c.example.com/r")),
        ({"file_type": "file", "data_url": "https://c.example.com/active_storage/a%00b"},
         FoundAttachment(type="document", url="https://c.example.com/active_storage/a%00b", filename="a\ufffdb")),
    ],
)  # fmt: skip
def test_a_chatwoot_attachment_is_announced(
    attachment: dict[str, Any], expected: FoundAttachment
) -> None:
    assert understood(chatwoot(attachment)).attachments == (expected,)


def test_fifteen_attachments_are_fifteen_in_their_order() -> None:
    found = understood(
        chatwoot(
            *({"file_type": "image", "data_url": f"https://c.example.com/{i}"} for i in range(15))
        )
    )
    assert [attachment.url for attachment in found.attachments] == [
        f"https://c.example.com/{i}" for i in range(15)
    ]
    assert found.kind == "image"


def test_a_location_without_a_name_keeps_its_coordinates() -> None:
    found = understood(
        chatwoot(
            {
                "file_type": "location",
                "coordinates_lat": 1.5,
                "coordinates_long": -3,
                "fallback_title": None,
            }
        )
    )
    assert found.attributes["locations"] == [{"latitude": "1.5", "longitude": "-3"}]


def test_a_telegram_contact_card_keeps_its_name() -> None:
    found = understood(
        chatwoot(
            {
                "file_type": "contact",
                "fallback_title": "+1 202",
                "meta": {"first_name": "Maya", "last_name": "S"},
            }
        )
    )
    assert (found.kind, found.attributes["contacts"]) == (
        "contact",
        [
            {
                "phone": "+1 202",
                "first_name": "Maya",
                "last_name": "S",
                "name": "Maya S",
                "phones": [{"phone": "+1 202"}],
            }
        ],
    )


def test_a_chatwoot_sticker_is_a_sticker() -> None:
    found = understood(
        chatwoot(
            {"file_type": "image", "data_url": "https://c.example.com/s.webp"},
            content_type="sticker",
        )
    )
    assert (found.kind, [attachment.type for attachment in found.attachments]) == (
        "sticker",
        ["sticker"],
    )


def test_a_chatwoot_message_with_nothing_in_it_is_degraded() -> None:
    found = understood(chatwoot(content=None, attachments=[]))
    assert (found.kind, found.attributes["degraded_reason"]) == ("unsupported", "media_unavailable")


@pytest.mark.parametrize(
    "name", ["whatsapp_image_caption.json", "telegram_voice.json", "outgoing_agent.json"]
)
def test_credentials_that_chatwoot_sends_along_stay_behind(name: str) -> None:
    found = understood(payload("chatwoot", name))
    kept = repr(found)
    for secret in ("pubsub_token", "TEST", "hmac", "phone_number", "@"):
        assert secret not in kept


# times

NONSENSE: tuple[object, ...] = (
    None,
    "",
    0,
    -1,
    True,
    "soon",
    "²",
    1e300,
    float("nan"),
    [],
    "0001-01-01T00:00:00+23:59",
    10**400,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-07-14T10:05:00.412Z", datetime(2026, 7, 14, 10, 5, 0, 412_000, UTC)),
        ("2026-07-14T12:05:00+02:00", datetime(2026, 7, 14, 10, 5, tzinfo=UTC)),
        ("2026-07-14T10:05:00", datetime(2026, 7, 14, 10, 5, tzinfo=UTC)),
        (1784023500, datetime(2026, 7, 14, 10, 5, tzinfo=UTC)),
        ("1784023500", datetime(2026, 7, 14, 10, 5, tzinfo=UTC)),
        (1784023500000, datetime(2026, 7, 14, 10, 5, tzinfo=UTC)),
        *((nonsense, None) for nonsense in NONSENSE),
    ],
)
def test_a_time_is_read_in_every_form_providers_write(
    value: object, expected: datetime | None
) -> None:
    assert moment(value) == expected


# events that are no messages


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"id": "e", "type": "whatsapp.message.updated"}, "delivery_status"),
        ({"id": "e", "type": "whatsapp.call.connect"}, "not_a_message"),
        ({"id": "e", "type": "contact.created"}, "not_a_message"),
        ({"id": "e", "type": "whatsapp.hologram"}, "unknown_event"),
        (
            ycloud() | {"whatsappInboundMessage": text_of({"type": "request_welcome"})},
            "welcome_request",
        ),
        (ycloud() | {"whatsappInboundMessage": text_of({"type": "system"})}, "system_event"),
        ({"event": "webwidget_triggered"}, "not_a_message"),
        ({"event": "message_hologram"}, "unknown_event"),
    ],
)
def test_an_event_that_is_not_a_message_is_skipped_with_its_reason(
    event: dict[str, Any], reason: str
) -> None:
    assert verdict(event) == Skip(reason)  # type: ignore[arg-type]
