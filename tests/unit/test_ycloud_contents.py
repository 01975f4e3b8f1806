"""Each content type of YCloud becomes a message with its text, files and attributes."""

from typing import Any

import pytest

from schemas.outcomes import Skip
from schemas.records import FoundAttachment
from tests.unit.events import PAIR, file, inbound, row_of, understood, verdict, ycloud


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


def test_an_attachment_that_only_its_id_can_give_is_asked_for() -> None:
    message = row_of(inbound(type="image", image={"id": "9"}))
    assert [(one.status, one.original_url) for one in message.attachments] == [("pending", None)]
    assert (
        FoundAttachment(type="image", media_id="9")
        == understood(inbound(type="image", image={"id": "9"})).attachments[0]
    )
