"""Captured bodies, each with the message expected from it.

A file without an expectation fails, and so does an expectation without a file.
"""

import json
from typing import Any

import pytest

from connectors.providers import catalogue
from schemas.keys import TenantId, body_id, message_key
from schemas.outcomes import Quarantine, Skip
from schemas.records import ChatMessage
from tests.unit.records import PAYLOADS, body, payload, raw

Said = tuple[str, str, str, str | None, str, tuple[str, ...], tuple[tuple[str, str | None], ...]]
Refused = Skip | Quarantine


def said(
    kind: str,
    content: str | None,
    conversation_id: str,
    *,
    role: str = "user",
    direction: str = "inbound",
    aliases: tuple[str, ...] = (),
    attachments: list[tuple[str, str | None]] | None = None,
) -> Said:
    return kind, role, direction, content, conversation_id, aliases, tuple(attachments or ())


YCLOUD: dict[str, Said | Refused] = {
    "audio_amr": said("audio", None, "14155550123~12025550147", attachments=[("audio", None)]),
    "audio_voice_opus": said("audio", None, "14155550123~12025550147", attachments=[("audio", None)]),
    "bad_missing_payload_key": Quarantine("payload_missing", "the event names a message that is not there"),
    "contacts_multi": said("contact", None, "14155550123~12025550147", attachments=[("contact", "no_file"), ("contact", "no_file")]),
    "document_image_as_file_heic": said("document", None, "14155550123~12025550147", attachments=[("document", None)]),
    "document_pdf": said("document", "Cotización", "14155550123~12025550147", attachments=[("document", None)]),
    "echo_app_image": said("image", "Así queda", "14155550123~12025550147", role="agent", direction="outbound", attachments=[("image", None)]),
    "echo_app_text_docs": said("text", "OK", "BUSINESS-PHONE-NUMBER~CUSTOMER-PHONE-NUMBER", role="agent", direction="outbound"),
    "history_inbound": said("text", "mensaje viejo", "14155550123~12025550147"),
    "image_caption": said("image", "Go for a walk.", "14155550123~12025550147", attachments=[("image", None)]),
    "image_link_without_signature": said("image", None, "14155550123~12025550147", attachments=[("image", None)]),
    "interactive_button_reply": said("interactive", "Yes", "14155550123~12025550147"),
    "location_docs": said("location", None, "14155550123~12025550147", attachments=[("location", "no_file")]),
    "order_numbers": said("order", "Please deliver after 6", "14155550123~12025550147"),
    "reaction_add": said("reaction", "👍🏽", "14155550123~12025550147"),
    "status_delivered": Skip("delivery_status"),
    "status_failed": Skip("delivery_status"),
    "sticker_static": said("sticker", None, "14155550123~12025550147", attachments=[("sticker", None)]),
    "system_user_changed_number": Skip("system_event"),
    "text_both_ids": said("text", "Buenas", "14155550123~12025550147", aliases=("14155550123~US.1037313505747798",)),
    "text_bsuid_only": said("text", "hi, I hid my number", "14155550123~US.1037313505747798"),
    "text_group": said("text", "hello group", "group~120363345678901234-g.us.fa3d8f80fa578963"),
    "text_plain": said("text", "Hola, ¿tienen disponibilidad para mañana? 🙂", "14155550123~12025550147"),
    "text_reply_context": said("text", "Sí, ese", "14155550123~12025550147"),
    "unknown_event_type": Skip("unknown_event"),
    "unsupported_131051_docs": said("unsupported", None, "BUSINESS-PHONE-NUMBER~CUSTOMER-PHONE-NUMBER"),
}  # fmt: skip

CHATWOOT: dict[str, Said | Refused] = {
    "api_channel_text_2026_02": said("text", "Hola", "7~10"),
    "api_multi_attachments_mixed": said(
        "mixed", "varias cosas", "7~1681", attachments=[("image", None), ("image", None), ("audio", None), ("document", None)]
    ),
    "api_zero_byte_file": said("audio", None, "7~1681", attachments=[("audio", None)]),
    "bad_no_event": Quarantine("event_missing", "no event"),
    "conversation_status_changed_resolved": Skip("not_a_message"),
    "conversation_typing_on": Skip("not_a_message"),
    "csat_submitted": said("interactive", "5\nMuy amable", "7~1681"),
    "facebook_image": said("image", None, "7~1681", attachments=[("image", None)]),
    "facebook_shared_post_fallback": said("unsupported", None, "7~1681", attachments=[("other", "web_page")]),
    "future_unknown_event": Skip("unknown_event"),
    "instagram_audio": said("audio", None, "7~1681", attachments=[("audio", None)]),
    "instagram_image": said("image", None, "7~1681", attachments=[("image", None)]),
    "instagram_post_share": said("image", "Shared post", "7~1681", attachments=[("image", None)]),
    "instagram_story_mention": said("image", "ines.sample mentioned you in the story: ", "7~1681", attachments=[("image", None)]),
    "message_updated_deleted": said("text", "This message was deleted", "7~1681"),
    "message_updated_status_delivered": said("text", "Sí, mañana a las 10.", "7~1681", role="agent", direction="outbound"),
    "outgoing_agent": said("text", "Sí, mañana a las 10.", "7~1681", role="agent", direction="outbound"),
    "outgoing_agent_bot_echo": said("text", "¡Hola! ¿En qué puedo ayudarte?", "7~1681", role="assistant", direction="outbound"),
    "outgoing_private_note": said("note", "ojo: cliente VIP", "7~1681", role="agent", direction="outbound"),
    "outgoing_template_by_agent": said("text", "Hola Maya, su cita es mañana.", "7~1681", role="assistant", direction="outbound"),
    "rails_escapes": said("text", "a < b && c > d  \u2028 fin", "7~1681"),
    "telegram_voice": said("audio", None, "7~1681", attachments=[("audio", None)]),
    "whatsapp_audio_transcribed_update": said("audio", None, "7~1681", attachments=[("audio", None)]),
    "whatsapp_audio_without_file": said("audio", None, "7~1681", attachments=[("audio", "media_unavailable")]),
    "whatsapp_audio_voice": said("audio", None, "7~1681", attachments=[("audio", None)]),
    "whatsapp_document_pdf_accents": said("document", "Cotización", "7~1681", attachments=[("document", None)]),
    "whatsapp_image_caption": said("image", "Este modelo, ¿lo tienen?", "7~1681", attachments=[("image", None)]),
    "whatsapp_image_extension_null_v4_2": said("image", None, "7~1681", attachments=[("image", None)]),
    "whatsapp_location": said("location", None, "7~1681", attachments=[("location", "no_file")]),
    "whatsapp_media_failed_upstream": said("unsupported", None, "7~1681"),
    "whatsapp_reaction": said("reaction", "❤️", "7~1681"),
    "whatsapp_text_cloud_2026_04": said("text", "Make it 8", "7~1681"),
    "whatsapp_unsupported": said("unsupported", None, "7~1681"),
    "widget_choice_submitted": said("interactive", "Por la tarde", "7~1681"),
    "widget_form_submitted": said("interactive", "nombre: Maya\nhora: 10:30", "7~1681"),
}  # fmt: skip


EXPECTED = {("ycloud", name): expected for name, expected in YCLOUD.items()} | {
    ("chatwoot", name): expected for name, expected in CHATWOOT.items()
}


def read(provider: str, content: bytes, **fields: Any) -> ChatMessage | Refused:
    (provider_id,) = catalogue.identify(provider, content)
    return catalogue.read(raw(provider, provider_id, content, **fields))


@pytest.mark.parametrize(("provider", "name"), EXPECTED, ids=lambda part: part)
def test_a_captured_body_is_understood(provider: str, name: str) -> None:
    found = read(provider, (PAYLOADS / provider / f"{name}.json").read_bytes())
    if isinstance(found, ChatMessage):
        attachments = tuple(
            (attachment.type, attachment.reason) for attachment in found.attachments
        )
        understood: Said | Refused = (
            found.kind,
            found.role,
            found.direction,
            found.content,
            found.conversation_id,
            found.aliases,
            attachments,
        )
    else:
        understood = found
    assert understood == EXPECTED[provider, name]


def test_every_captured_body_has_its_line() -> None:
    files = {
        (file.parent.name, file.stem)
        for provider in ("ycloud", "chatwoot")
        for file in (PAYLOADS / provider).glob("*.json")
    }
    assert {file for file in files if file[1] != "signature_vectors"} == set(EXPECTED)


@pytest.mark.parametrize(
    ("provider", "name", "provider_id"),
    [
        (
            "ycloud",
            "text_plain",
            "wamid.HBgLMTIwMjU1NTAxNDcVAgASGCBBQzc0NzY5ODRDREEzMUYzNDMyQzEyNkE1OEU1OTc0QQA=",
        ),
        (
            "ycloud",
            "status_delivered",
            "evt_694563560f3c0c82b629c09c",
        ),  # its own id: it must not claim its message's key
        ("ycloud", "unknown_event_type", "evt_6945649368fd7fb831e16b11"),
        ("chatwoot", "api_channel_text_2026_02", "7/820014"),
        ("chatwoot", "message_updated_deleted", "7/830002"),
        (
            "chatwoot",
            "conversation_typing_on",
            "sha256-cad15302166191d31d6186118203137777554fbbd68eef1e27c7833ed2531536",
        ),
    ],
)
def test_a_body_is_keyed_by_its_id(provider: str, name: str, provider_id: str) -> None:
    assert catalogue.identify(provider, (PAYLOADS / provider / f"{name}.json").read_bytes()) == (
        provider_id,
    )


@pytest.mark.parametrize("provider", ["ycloud", "chatwoot"])
@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff\xfe\xfd", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"type":' + b"9" * 5_000 + b"}", "not_json"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b'{"type":' + b"[" * 70 + b"]" * 70 + b"}", "field_invalid"),
        (b"{}", "event_missing"),
        (b'{"type":7,"event":null}', "event_missing"),
    ],
)
def test_a_body_that_is_not_an_event_is_keyed_by_its_bytes_and_quarantined(
    provider: str, content: bytes, verdict: str
) -> None:
    assert catalogue.identify(provider, content) == (body_id(content),)
    found = read(provider, content)
    assert isinstance(found, Quarantine)
    assert found.reason == verdict


def test_what_no_adapter_reads_is_kept_aside() -> None:
    assert catalogue.identify("fax", b"{}") == (body_id(b"{}"),)
    assert catalogue.read(raw("fax", body_id(b"{}"))) == Quarantine("provider_unknown", "fax")


# sequences: what arrives more than once, and in what guise


def sequence(name: str) -> list[bytes]:
    return [
        body(step["event"])
        for step in json.loads((PAYLOADS / "sequences" / f"{name}.json").read_bytes())
    ]


@pytest.mark.parametrize(
    ("provider", "name", "is_update"),
    [
        ("ycloud", "ycloud_redelivery", [False, False, False]),
        ("chatwoot", "chatwoot_same_message_three_subscriptions", [False, False, False]),
        ("chatwoot", "chatwoot_outgoing_lifecycle", [False, True, True, True]),
    ],
)
def test_all_deliveries_of_a_message_have_one_key_and_updates_are_known_as_such(
    provider: str, name: str, is_update: list[bool]
) -> None:
    steps = sequence(name)
    assert len({catalogue.identify(provider, step) for step in steps}) == 1
    read_steps = [read(provider, step) for step in steps]
    assert [isinstance(step, ChatMessage) and step.is_update for step in read_steps] == is_update


# a key that is not the body's


@pytest.mark.parametrize(
    ("provider", "name"),
    [("ycloud", "text_plain.json"), ("chatwoot", "whatsapp_image_caption.json")],
)
@pytest.mark.parametrize("forged", ["another", "", "a:b"])
def test_a_body_under_another_messages_key_is_quarantined(
    provider: str, name: str, forged: str
) -> None:
    found = catalogue.read(raw(provider, forged, body(payload(provider, name))))
    assert found == Quarantine("identifier_mismatch", "the body's id is not the key's")


def test_a_direct_body_under_another_key_is_quarantined() -> None:
    document = {
        "provider": "vetchat",
        "provider_message_id": "42",
        "conversation_id": "c1",
        "sender": {"id": "u1"},
        "text": "Hola",
    }
    found = catalogue.read(raw("vetchat", "43", body(document), endpoint_id=""))
    assert found == Quarantine("identifier_mismatch", "the body's id is not the key's")


def test_an_id_with_colons_is_one_id() -> None:
    event = payload("ycloud", "text_plain.json")
    event["whatsappInboundMessage"]["wamid"] = "wamid:with:colons"
    assert isinstance(
        read(
            "ycloud",
            body(event),
            message_key=message_key(TenantId("acme"), "ycloud", "wamid:with:colons"),
        ),
        ChatMessage,
    )


@pytest.mark.parametrize(
    "useless",
    [
        "",
        0,
        "0",
        "000",
        "  ",
        "null",
        "NULL",
        "undefined",
        " wamid.A",
        None,
        7.5,
        True,
        ["x"],
        {"a": 1},
        "a\nb",
        "x" * 513,
    ],
)
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("text_plain.json", "whatsappInboundMessage"),
        ("echo_app_image.json", "whatsappMessage"),
        ("history_inbound.json", "whatsappInboundMessage"),
    ],
)
def test_a_whatsapp_message_without_a_wamid_makes_no_row_beside_that_of_a_later_event(
    useless: object, name: str, place: str
) -> None:
    event = payload("ycloud", name)
    wamid = event[place]["wamid"]
    event[place]["wamid"] = useless
    assert catalogue.identify("ycloud", body(event)) == (event["id"],)
    assert read("ycloud", body(event)) == Quarantine(
        "identifier_missing", "the message has no wamid"
    )
    event[place]["wamid"] = wamid
    assert catalogue.identify("ycloud", body(event)) == (wamid,)
    assert isinstance(read("ycloud", body(event)), ChatMessage)
    event[place]["wamid"] = useless
    event["id"] = useless
    assert catalogue.identify("ycloud", body(event)) == (body_id(body(event)),)
    found = read("ycloud", body(event))
    assert isinstance(found, Quarantine)
    assert found.reason == "identifier_missing"


@pytest.mark.parametrize(
    "document", [{"account": {}}, {"account": None}, {"id": None}, {"id": "x" * 600}, {"id": True}]
)
def test_a_chatwoot_message_without_account_or_id_is_quarantined(
    document: dict[str, object],
) -> None:
    content = body({**payload("chatwoot", "api_channel_text_2026_02.json"), **document})
    assert catalogue.identify("chatwoot", content) == (body_id(content),)
    found = read("chatwoot", content)
    assert isinstance(found, Quarantine)
    assert found.reason == "identifier_missing"
