"""docs/message-attributes.md: what each provider's message contains besides its text."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.providers import catalogue
from connectors.providers.attributes import answers
from schemas.records import ChatMessage
from tests.unit.events import chatwoot, understood, verdict, ycloud
from tests.unit.records import PAYLOADS, body, payload, raw

FIELD = Path(__file__).parents[1] / "field" / "context-says-nothing-of-a-place"
PAGE = (Path(__file__).parents[2] / "docs" / "message-attributes.md").read_text()


def attributes(event: dict[str, Any]) -> dict[str, Any]:
    return understood(event).attributes


def whatsapp(type: str, content: object, **fields: Any) -> dict[str, Any]:
    return ycloud(type=type, **{type: content}, **fields)


def of_field(name: str) -> dict[str, Any]:
    return attributes(json.loads((FIELD / name).read_bytes()))


# of the field


def test_a_place_of_the_field_has_its_coordinates_and_its_name() -> None:
    assert of_field("location.json")["locations"] == [
        {"latitude": "-12.04637", "longitude": "-77.04279", "name": "Plaza", "address": "Centro"}
    ]


def test_an_order_of_the_field_has_its_items_and_prices() -> None:
    assert of_field("order.json")["order"] == {
        "catalog_id": "c1",
        "items": [
            {
                "product_retailer_id": "SKU-1",
                "quantity": "2",
                "item_price": "9.5",
                "currency": "MXN",
            }
        ],
    }


# the same form for every provider


def test_a_place_has_one_form() -> None:
    of_ycloud = attributes(
        whatsapp(
            "location",
            {"latitude": 0, "longitude": -3.5, "name": "Zoo", "url": "https://zoo.example.com"},
        )
    )
    of_chatwoot = attributes(
        chatwoot(
            {
                "file_type": "location",
                "coordinates_lat": 0,
                "coordinates_long": -3.5,
                "fallback_title": "Zoo",
                "data_url": "https://zoo.example.com",
            }
        )
    )
    assert of_ycloud["locations"] == of_chatwoot["locations"]
    assert of_ycloud["locations"] == [
        {"latitude": "0", "longitude": "-3.5", "name": "Zoo", "url": "https://zoo.example.com"}
    ]


def test_a_card_tells_names_numbers_and_addresses() -> None:
    card = {
        "name": {"formatted_name": "Maya Sample", "first_name": "Maya"},
        "phones": [{"phone": "+1 202 555 0147", "wa_id": "12025550147", "type": "CELL"}],
        "emails": [{"email": "maya@example.com", "type": "WORK"}, {"email": None}],
        "addresses": [{"street": "Calle 1", "city": "Lima", "country": "Perú"}],
        "org": {"company": "Acme", "title": "Vet"},
        "urls": [{"url": "https://example.com"}],
        "birthday": "1990-01-02",
        "secret": "x",
    }
    assert attributes(whatsapp("contacts", [card]))["contacts"] == [
        {
            "name": "Maya Sample",
            "phones": [{"phone": "+1 202 555 0147", "wa_id": "12025550147", "type": "CELL"}],
            "emails": [{"email": "maya@example.com", "type": "WORK"}],
            "addresses": [{"street": "Calle 1", "city": "Lima", "country": "Perú"}],
            "urls": [{"url": "https://example.com"}],
            "organization": {"company": "Acme", "title": "Vet"},
            "birthday": "1990-01-02",
        }
    ]


@pytest.mark.parametrize(
    ("meta", "name"),
    [
        ({"firstName": "Maya", "lastName": "S"}, "Maya S"),
        ({"first_name": "Maya", "last_name": "S"}, "Maya S"),
        ({"firstName": "Maya"}, "Maya"),
        ({}, None),
        (None, None),
    ],
)
def test_a_card_of_chatwoot_has_a_name_and_a_number(meta: object, name: str | None) -> None:
    (card,) = attributes(
        chatwoot({"file_type": "contact", "fallback_title": "+1 202 555", "meta": meta})
    )["contacts"]
    assert (card.get("name"), card["phones"]) == (name, [{"phone": "+1 202 555"}])


def test_an_order_keeps_numbers_as_they_were_written() -> None:
    items = [
        {"product_retailer_id": "a", "quantity": 2, "item_price": 9.5, "currency": "MXN"},
        {"product_retailer_id": "b", "quantity": "3", "item_price": "9.50", "currency": "MXN"},
        {"product_retailer_id": "c", "quantity": 0, "item_price": 0},
    ]
    found = attributes(
        whatsapp("order", {"catalog_id": "c1", "text": "rápido", "product_items": items})
    )
    assert found["order"] == {
        "catalog_id": "c1",
        "text": "rápido",
        "items": [
            {"product_retailer_id": "a", "quantity": "2", "item_price": "9.5", "currency": "MXN"},
            {"product_retailer_id": "b", "quantity": "3", "item_price": "9.50", "currency": "MXN"},
            {"product_retailer_id": "c", "quantity": "0", "item_price": "0"},
        ],
    }


@pytest.mark.parametrize(
    ("form", "reply", "expected"),
    [
        ("button_reply", {"id": "b1", "title": "Sí"}, {"id": "b1", "title": "Sí"}),
        (
            "list_reply",
            {"id": "r1", "title": "Corte", "description": "30 min"},
            {"id": "r1", "title": "Corte", "description": "30 min"},
        ),
    ],
)
def test_a_choice_has_its_id_beside_its_title(
    form: str, reply: dict[str, str], expected: dict[str, str]
) -> None:
    found = understood(whatsapp("interactive", {"type": form, form: reply}))
    assert found.content == reply["title"]
    assert found.attributes["interactive"] == {"type": form, **expected}


def test_the_answers_of_a_flow_can_be_read() -> None:
    written = '{"flow_token":"t","dia":"lunes","servicios":["corte","baño"],"ok":true,"n":2,"x":{}}'
    reply = {"name": "flow", "body": "Sent", "response_json": written}
    found = attributes(whatsapp("interactive", {"type": "nfm_reply", "nfm_reply": reply}))
    assert found["interactive"]["response_json"] == written
    assert found["flow"] == {
        "name": "flow",
        "answers": {
            "flow_token": "t",
            "dia": "lunes",
            "servicios": ["corte", "baño"],
            "ok": "true",
            "n": "2",
        },
    }


@pytest.mark.parametrize(
    "hostile",
    [None, "", "{", "[" * 100_000, "7", '"x"', [], 7, {"a": {"b": 1}}, {"": None}, '{"a":NaN}'],
)
def test_answers_that_cannot_be_read_are_none(hostile: object) -> None:
    assert answers(hostile) == {}


def test_answers_are_bounded() -> None:
    found = answers({f"{n}" * 300: ["x" * 9_000] * 500 for n in range(900)})
    assert len(found) <= 100
    assert len(msgspec.json.encode(found)) < 100 * 100 * 2_100


@pytest.mark.parametrize(
    ("event", "quoted"),
    [
        (
            whatsapp("text", {"body": "ese"}, context={"from": "14155550123", "id": "wamid.0"}),
            {"id": "wamid.0", "sender_id": "14155550123"},
        ),
        (whatsapp("text", {"body": "ese"}, context={"forwarded": True}), None),
        (
            chatwoot(content_attributes={"in_reply_to": 7, "in_reply_to_external_id": "wamid.0"}),
            {"id": "7", "external_id": "wamid.0"},
        ),
        (
            chatwoot(content_attributes={"in_reply_to": None, "in_reply_to_external_id": "m_1"}),
            {"external_id": "m_1"},
        ),
        (chatwoot(content_attributes={"in_reply_to_external_id": None}), None),
    ],
)
def test_a_quotation_names_the_message(
    event: dict[str, Any], quoted: dict[str, str] | None
) -> None:
    assert attributes(event).get("quoted") == quoted


AD = {"source_url": "https://fb.me/x", "source_type": "ad", "source_id": "1", "headline": "Oferta",
      "body": "2x1", "ctwa_clid": "c", "image_url": "https://x.example.com/i"}  # fmt: skip


def test_the_advertisement_has_one_form() -> None:
    expected = {name: value for name, value in AD.items() if name != "image_url"}
    assert attributes(whatsapp("text", {"body": "Hola"}, referral=AD))["referral"] == expected
    assert attributes(chatwoot(content_attributes={"referral": AD}))["referral"] == expected


def test_a_reaction_has_one_form() -> None:
    of_ycloud = understood(whatsapp("reaction", {"message_id": "wamid.0", "emoji": "❤️"}))
    of_chatwoot = understood(
        chatwoot(
            content="❤️",
            content_attributes={"is_reaction": True, "in_reply_to_external_id": "wamid.0"},
        )
    )
    for found in (of_ycloud, of_chatwoot):
        assert (found.kind, found.content) == ("reaction", "❤️")
        assert found.attributes["reaction"] == {"message_id": "wamid.0", "emoji": "❤️"}


def test_a_reaction_taken_back_is_not_a_message_that_lost_its_file() -> None:
    found = understood(
        chatwoot(content=None, content_attributes={"is_reaction": True, "in_reply_to": 7})
    )
    assert (found.kind, found.attributes["reaction"]) == (
        "reaction",
        {"message_id": "7", "removed": True},
    )
    assert "degraded_reason" not in found.attributes


# flags of YCloud


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"forwarded": True}, {"forwarded": True}),
        ({"forwarded": "true"}, {"forwarded": True}),
        ({"forwarded": False}, {}),
        ({"forwarded": "false", "frequently_forwarded": None}, {}),
        (
            {"frequently_forwarded": True},
            {"forwarded": True, "frequently_forwarded": True},
        ),
        (
            {"referred_product": {"catalog_id": "c", "product_retailer_id": "p", "x": 1}},
            {"product": {"catalog_id": "c", "product_retailer_id": "p"}},
        ),
        (None, {}),
    ],
)
def test_what_surrounds_a_message_of_ycloud(context: object, expected: dict[str, Any]) -> None:
    found = attributes(whatsapp("text", {"body": "Hola"}, context=context))
    assert {name: found[name] for name in found if not name.startswith("event_")} == expected


@pytest.mark.parametrize(
    ("fields", "kind", "unsupported"),
    [
        (
            {"type": "unsupported", "unsupported": {"type": "poll_creation"}},
            "unsupported",
            {"type": "unsupported", "detail": "poll_creation", "errors": []},
        ),
        (
            {"type": "errors", "errors": [{"code": 131060, "title": "Unavailable"}]},
            "unsupported",
            {"type": "errors", "errors": [{"code": "131060", "title": "Unavailable"}]},
        ),
    ],
)
def test_what_whatsapp_does_not_give_is_unsupported(
    fields: dict[str, Any], kind: str, unsupported: dict[str, Any]
) -> None:
    found = understood(ycloud(**fields))
    told = {name: value for name, value in unsupported.items() if value != []}
    assert (found.kind, found.attributes["unsupported"]) == (kind, told)


# the page


def bodies() -> list[tuple[str, str]]:
    return [
        (provider, file.stem)
        for provider in ("ycloud", "chatwoot")
        for file in sorted((PAYLOADS / provider).glob("*.json"))
        if file.stem != "signature_vectors"
    ]


@pytest.mark.parametrize(("provider", "name"), bodies())
def test_every_attribute_is_on_the_page(provider: str, name: str) -> None:
    content = body(payload(provider, f"{name}.json"))
    (provider_id,) = catalogue.identify(provider, content)
    found = catalogue.read(raw(provider, provider_id, content))
    if isinstance(found, ChatMessage):
        known = set(re.findall(r"`([a-zA-Z_]+)`", PAGE))
        assert set(found.attributes) - known == set()


@pytest.mark.parametrize("name", ["location", "contacts", "order", "interactive", "reaction"])
@pytest.mark.parametrize("hostile", [None, [], {}, 7, "x", [[]], {"phones": 7}, {"name": []}])
def test_a_hostile_shape_is_read_without_failing(name: str, hostile: object) -> None:
    assert isinstance(verdict(whatsapp(name, hostile)), ChatMessage)
    for attached in ("location", "contact", "file", "fallback"):
        event = chatwoot({"file_type": attached, "meta": hostile, "data_url": hostile})
        event["content_attributes"] = dict.fromkeys(
            ("items", "referral", "email", "translations", "data", "submitted_values"), hostile
        )
        assert isinstance(verdict(event), ChatMessage)
        assert isinstance(verdict({**event, "event": "message_updated"}), ChatMessage)


def test_half_a_surrogate_pair_in_an_answer_costs_no_message() -> None:
    """An example is an emoji that a program cut in two."""
    assert answers('{"name": "Ana \ud83d"}') == {"name": "Ana ?"}
