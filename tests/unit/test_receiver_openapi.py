"""Compares the receiver's description of itself with what it does."""

import json
from typing import Any

import pytest

from connectors.providers.direct import MAX_MEDIA, MEDIA_TYPES, validate
from connectors.webhooks.openapi import openapi
from schemas.keys import CONVERSATION_CHARS, PROVIDER_ID_MAX_CHARS
from tests.unit.receiving import READ, Application

CHAT: dict[str, Any] = openapi()["paths"]["/chat"]["post"]
SCHEMAS: dict[str, Any] = openapi()["components"]["schemas"]
FIELDS: dict[str, Any] = SCHEMAS["ChatMessage"]["properties"]
EXAMPLES = [
    one["value"] for one in CHAT["requestBody"]["content"]["application/json"]["examples"].values()
]


async def test_the_receiver_serves_its_own_openapi() -> None:
    answer = await Application().request("GET", "/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == openapi()
    assert (await Application().request("POST", "/openapi.json")).status == 405


@pytest.mark.parametrize("example", EXAMPLES, ids=["customer", "bot"])
async def test_every_example_is_taken(example: dict[str, Any]) -> None:
    application = Application()
    answer = await application.chat(example)
    assert answer.status == 202 and set(answer.json) == {"message_key"}
    assert "202" in CHAT["responses"]


def test_the_bots_example_is_outbound() -> None:
    assert EXAMPLES[1]["direction"] == "outbound" and "outbound" in CHAT["description"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_described_field_is_known_and_required_where_it_is_said_to_be(field: str) -> None:
    whole = {**EXAMPLES[0], "direction": "inbound"}
    assert validate(whole) == []
    without = {name: value for name, value in whole.items() if name != field}
    is_refused = any(field in error for error in validate(without))
    assert is_refused == (field in SCHEMAS["ChatMessage"]["required"])
    may_be_null = "null" in FIELDS[field]["type"]
    assert (validate({**whole, field: None}) == []) == may_be_null


def test_nothing_is_taken_that_is_not_described() -> None:
    assert validate({**EXAMPLES[0], "more": 1}) == ["more: unknown field"]
    assert SCHEMAS["ChatMessage"]["additionalProperties"] is False
    assert {"text", "media"} == {
        name for one in SCHEMAS["ChatMessage"]["anyOf"] for name in one["required"]
    }


def test_the_bounds_are_those_of_the_adapter() -> None:
    whole, fields = EXAMPLES[0], FIELDS
    assert fields["media"]["maxItems"] == MAX_MEDIA
    assert SCHEMAS["Media"]["properties"]["type"]["enum"] == list(MEDIA_TYPES)
    for name, most in (
        ("provider", 32),
        ("provider_message_id", PROVIDER_ID_MAX_CHARS),
        ("conversation_id", CONVERSATION_CHARS),
    ):
        assert fields[name]["maxLength"] == most
        assert validate({**whole, name: "a" * most}) == []
        assert validate({**whole, name: "a" * (most + 1)}) != []
    url = SCHEMAS["Media"]["properties"]["url"]["maxLength"]
    for length, taken in ((url, True), (url + 1, False)):
        address = "https://files.example.com/".ljust(length, "a")
        media = [{"type": "image", "url": address}]
        assert (validate({**whole, "media": media}) == []) == taken
    for name in SCHEMAS["Media"]["required"]:
        media = [{key: value for key, value in whole["media"][0].items() if key != name}]
        assert any(f".{name}:" in error for error in validate({**whole, "media": media}))


@pytest.mark.parametrize(
    ("body", "key", "status"),
    [
        (b"{", None, 400),
        (b"{}", "nobody's", 401),
        (b"{}", READ, 403),
        (b"{}", None, 422),
        (b"x" * 100_000, None, 413),
    ],
)
async def test_errors_have_the_described_form(body: bytes, key: str | None, status: int) -> None:
    application = Application(max_body_bytes=50_000)
    answer = await application.chat(body, **({} if key is None else {"key": key}))
    assert answer.status == status and str(status) in CHAT["responses"]
    assert set(SCHEMAS["ProblemDetails"]["required"]) <= set(answer.json)
    assert set(answer.json) <= set(SCHEMAS["ProblemDetails"]["properties"])


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(openapi())
    for name in text.split('"#/components/schemas/')[1:]:
        assert name.partition('"')[0] in SCHEMAS
