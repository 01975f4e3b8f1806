"""The text that a context shows for a message without text, from the attributes of the adapters."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.console.facts import LONGEST_TEXT, message_data, short_text
from connectors.console.response_models import MessageData
from tests.unit.events import chatwoot, understood

FIELD = Path(__file__).parents[1] / "field" / "context-says-nothing-of-a-place"
KEY = "acme:ycloud:wamid.1"


def of(provider: dict[str, Any], key: str = KEY) -> dict[str, Any]:
    data = message_data(provider, key)
    MessageData.model_validate(data)
    return data


def test_a_location_of_a_real_event_is_a_place_and_a_line() -> None:
    event = json.loads((FIELD / "location.json").read_bytes())
    data = of(understood(event).attributes)
    assert data == {
        "locations": [
            {"latitude": -12.04637, "longitude": -77.04279, "name": "Plaza", "address": "Centro"}
        ]
    }
    assert short_text(data, "es") == "Ubicación: Plaza, Centro (-12.04637, -77.04279)"
    assert short_text(data, "en-US") == "Location: Plaza, Centro (-12.04637, -77.04279)"


def test_an_order_of_a_real_event_is_items_and_a_line() -> None:
    event = json.loads((FIELD / "order.json").read_bytes())
    data = of(understood(event).attributes)
    assert data["order"] == {
        "catalog_id": "c1",
        "items": [{"product_id": "SKU-1", "quantity": 2, "price": 9.5, "currency": "MXN"}],
    }
    assert short_text(data, "es") == "Pedido: 2 × SKU-1 (9.5 MXN)"


def test_places_and_cards_of_chatwoot_have_the_same_form() -> None:
    event = chatwoot() | {
        "content": None,
        "attachments": [
            {"id": 1, "file_type": "location", "coordinates_lat": 19.4, "coordinates_long": -99.1,
             "fallback_title": "Zócalo"},
            {"id": 2, "file_type": "contact", "fallback_title": "+5255",
             "meta": {"firstName": "Ana", "lastName": "Pérez"}},
        ],
    }  # fmt: skip
    data = of(understood(event).attributes, "acme:chatwoot:3/55")
    assert data["locations"] == [{"latitude": 19.4, "longitude": -99.1, "name": "Zócalo"}]
    assert data["contacts"] == [{"name": "Ana Pérez", "phones": ["+5255"]}]
    assert short_text(data, "es") == "Ubicación: Zócalo (19.4, -99.1)\nContacto: Ana Pérez, +5255"


@pytest.mark.parametrize(
    ("provider", "data", "text"),
    [
        ({}, {}, None),
        (
            {"contacts": [{"name": "Ana", "phones": [{"phone": "+52 1"}, {"phone": "+52 2"}]}]},
            {"contacts": [{"name": "Ana", "phones": ["+52 1", "+52 2"]}]},
            "Contacto: Ana, +52 1, +52 2",
        ),
        (
            {"interactive": {"id": "btn-1", "description": "larga"}},
            {"choice": {"id": "btn-1", "description": "larga"}},
            "Respuesta: btn-1",
        ),
        ({"button": {"payload": "YES"}}, {"choice": {"payload": "YES"}}, "Respuesta: YES"),
        (
            {"interactive": {"name": "flow", "response_json": '{"a": "sí", "b": [1]}'}},
            {"choice": {"name": "flow", "form": {"a": "sí", "b": [1]}}},
            "Formulario: a: sí; b: [1]",
        ),
        (
            {"interactive": {"response_json": "no JSON"}},
            {"choice": {"form": "no JSON"}},
            "Formulario: no JSON",
        ),
        (
            {"submitted": {"question_id": "99", "values": [{"title": "Rojo", "value": "red"}]}},
            {"choice": {"form": {"Rojo": "red"}}},
            "Formulario: Rojo: red",
        ),
        (
            {"submitted": {"rating": "5", "feedback": "bien"}},
            {"choice": {"form": {"rating": "5", "feedback": "bien"}}},
            "Formulario: rating: 5; feedback: bien",
        ),
        (
            {"flow": {"name": "cita", "answers": {"día": "lunes"}}},
            {"choice": {"name": "cita", "form": {"día": "lunes"}}},
            "Formulario: día: lunes",
        ),
        (
            {"reply_to": "wamid.0"},
            {"quoted": {"id": "wamid.0", "message_key": "acme:ycloud:wamid.0"}},
            None,
        ),
        (
            {"reaction": {"message_id": "wamid.0", "removed": True}},
            {
                "reaction": {
                    "id": "wamid.0",
                    "message_key": "acme:ycloud:wamid.0",
                    "removed": True,
                }
            },
            None,
        ),
        ({"product": {"catalog_id": "c", "x": [1]}}, {"product": {"catalog_id": "c"}}, None),
        ({"referral": {"headline": "Oferta"}}, {"referral": {"headline": "Oferta"}}, None),
        ({"location": {"latitude": "north"}}, {"locations": [{"latitude": "north"}]}, "Ubicación"),
    ],
)
def test_the_data_and_its_words(
    provider: dict[str, Any], data: dict[str, Any], text: str | None
) -> None:
    assert of(provider) == data
    assert short_text(data, "es") == text


def test_a_quoted_message_of_chatwoot_is_one_of_the_same_account() -> None:
    data = of({"in_reply_to": "54"}, "acme:chatwoot:3/55")
    assert data["quoted"] == {"id": "54", "message_key": "acme:chatwoot:3/54"}
    external = of({"in_reply_to_external_id": "wamid.0"}, "acme:chatwoot:3/55")
    assert external["quoted"] == {"id": "wamid.0"}


@pytest.mark.parametrize("name", ["location", "locations", "contacts", "order", "interactive", "button", "reaction", "reply_to", "in_reply_to",
                                  "product", "referral", "submitted", "flow", "quoted"])  # fmt: skip
@pytest.mark.parametrize(
    "value",
    [None, "", "x", 0, 1.5, True, [], [None], [[]], {}, {"items": "x"}, {"items": [None, 3]}],
)
def test_a_value_of_an_unexpected_form_does_no_harm(name: str, value: Any) -> None:
    text = short_text(of({name: value}), "es")
    assert text is None or text


@pytest.mark.parametrize(
    "form",
    [
        "[" * 5_000,
        '{"a":' * 500 + "1" + "}" * 500,
        '{"a": "\\ud800"}',
        '{"a": ' + "9" * 5_000 + "}",
    ],
    ids=["open", "deep", "surrogate", "long number"],
)
def test_a_hostile_form_can_still_be_answered(form: str) -> None:
    data = of({"interactive": {"response_json": form}})
    json.dumps(data, ensure_ascii=False).encode()
    assert len(short_text(data, "es") or "") <= LONGEST_TEXT


def test_a_long_order_says_how_many_more_items_it_has() -> None:
    items = [{"product_retailer_id": f"S{n}", "quantity": "1"} for n in range(30)]
    data = of({"order": {"items": items}})
    assert len(data["order"]["items"]) == 30
    assert (short_text(data, "en") or "").endswith("1 × S19; and 10 more")


def test_a_place_that_is_in_both_fields_is_one_place() -> None:
    place = {"latitude": "1.5", "longitude": "2"}
    data = of({"location": place, "locations": [place]})
    assert data["locations"] == [{"latitude": 1.5, "longitude": 2}]
    assert of({"location": place})["locations"] == data["locations"]


def test_an_answer_to_a_form_names_its_question() -> None:
    key = "acme:chatwoot:7/99/submitted-0a1b"
    assert of({"in_reply_to": "99", "quoted": {"id": "99", "text": "¿Color?"}}, key)["quoted"] == {
        "id": "99",
        "message_key": "acme:chatwoot:7/99",
        "text": "¿Color?",
    }
