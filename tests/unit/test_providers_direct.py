import json
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.providers import catalogue
from connectors.providers.direct import MAX_MEDIA, MEDIA_TYPES, validate
from schemas.outcomes import Quarantine
from schemas.records import ChatMessage, FoundAttachment
from tests.unit.records import body, raw

IMAGE = {"type": "image", "url": "https://files.example.com/1"}


def document(**fields: Any) -> dict[str, Any]:
    return {
        "provider": "vetchat",
        "provider_message_id": "42",
        "conversation_id": "c1",
        "sender": {"id": "u1"},
        "text": "Hola",
        **fields,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": None, "media": [IMAGE]},
        {"media": [IMAGE] * MAX_MEDIA},
        {"media": []},
        {
            "media": [
                {**IMAGE, "type": type, "mime_type": "x/y", "filename": "f"} for type in MEDIA_TYPES
            ]
        },
        {"sender": {"id": 7, "name": "Maya"}},
        {"occurred_at": "2026-07-14T10:05:00Z", "direction": "outbound"},
        {"occurred_at": None, "direction": None},
        {"conversation_id": "x" * 400},
    ],
)
def test_a_sound_body_has_no_errors(fields: dict[str, Any]) -> None:
    assert validate(document(**fields)) == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"provider": None}, ["provider"]),
        ({"provider": "Vet-Chat"}, ["provider"]),
        ({"provider": "x" * 33}, ["provider"]),
        ({"provider_message_id": ""}, ["provider_message_id"]),
        ({"provider_message_id": 42}, ["provider_message_id"]),
        ({"provider_message_id": "a\n"}, ["provider_message_id"]),
        ({"provider_message_id": "x" * 513}, ["provider_message_id"]),
        ({"conversation_id": ""}, ["conversation_id"]),
        ({"conversation_id": "x" * 401}, ["conversation_id"]),
        ({"sender": None}, ["sender.id"]),
        ({"sender": "u1"}, ["sender.id"]),
        ({"sender": {"id": ""}}, ["sender.id"]),
        ({"sender": {"id": "u1", "name": 7}}, ["sender.name"]),
        ({"text": None}, ["text or media"]),
        ({"text": ""}, ["text or media"]),
        ({"text": 7}, ["text"]),
        ({"media": "https://files.example.com/1"}, ["media"]),
        ({"media": [IMAGE] * (MAX_MEDIA + 1)}, ["media"]),
        ({"media": ["x"]}, ["media[0]"]),
        (
            {"media": [IMAGE, {"type": "location", "url": "https://f.example.com"}]},
            ["media[1].type"],
        ),
        (
            {"media": [{"type": "UNKNOWN", "url": "ftp://f.example.com"}]},
            ["media[0].type", "media[0].url"],
        ),
        (
            {"media": [{**IMAGE, "filename": 7, "mime_type": []}]},
            ["media[0].mime_type", "media[0].filename"],
        ),
        ({"occurred_at": "soon"}, ["occurred_at"]),
        ({"occurred_at": []}, ["occurred_at"]),
        ({"direction": "sideways"}, ["direction"]),
        ({"txet": "Hola"}, ["txet"]),
        ({"provider": 1, "sender": 1, "direction": 1}, ["provider", "sender.id", "direction"]),
    ],
)
def test_each_error_names_its_field(fields: dict[str, Any], named: list[str]) -> None:
    assert [error.partition(":")[0] for error in validate(document(**fields))] == named


def test_a_field_nobody_knows_is_named_so_that_it_can_be_written_down() -> None:
    (error,) = validate(document(**{"a\0\ud800" + "x" * 900: 1}))
    assert error == "a\ufffd\ufffd" + "x" * 61 + ": unknown field"
    said = {**document(), "\ud800": 1}
    assert catalogue.read(
        raw("vetchat", "42", json.dumps(said).encode(), endpoint_id="")
    ) == Quarantine("field_invalid", "\ufffd: unknown field")


@pytest.mark.parametrize("nonsense", [None, [], "text", 7])
def test_a_body_is_an_object(nonsense: object) -> None:
    assert validate(nonsense) == ["the body must be a JSON object"]


def test_a_direct_message_is_read_whatever_its_provider_is_called() -> None:
    said = document(
        provider="ycloud",
        conversation_id="room/1 ñ",
        sender={"id": 7, "name": "Maya"},
        media=[
            {
                "type": "document",
                "url": "https://f.example.com/a",
                "mime_type": "audio/mpeg",
                "filename": "a.mp3",
            }
        ],
        occurred_at="2026-07-14T12:05:00+02:00",
        direction="outbound",
    )
    assert catalogue.read(raw("ycloud", "42", body(said), endpoint_id="")) == ChatMessage(
        provider_message_id="42",
        conversation_id="room-1--",
        role="assistant",
        direction="outbound",
        kind="audio",
        content="Hola",
        occurred_at=datetime(2026, 7, 14, 10, 5, tzinfo=UTC),
        sender_id="7",
        sender_name="Maya",
        attachments=(
            FoundAttachment(
                type="audio",
                url="https://f.example.com/a",
                mime_type="audio/mpeg",
                filename="a.mp3",
            ),
        ),
        attributes={"conversation_id": "room/1 ñ"},
    )


def test_what_slipped_by_the_receiver_is_quarantined() -> None:
    found = catalogue.read(raw("vetchat", "42", body(document(sender=None)), endpoint_id=""))
    assert found == Quarantine("field_invalid", "sender.id: required")
