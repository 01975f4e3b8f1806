import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.providers import catalogue
from connectors.providers.direct import MAX_MEDIA, MEDIA_TYPES, validate
from schemas.chat import ChatAccepted, ChatRefused
from schemas.outcomes import Quarantine
from schemas.records import ChatMessage, FoundAttachment
from tests.unit.records import body, payload, raw

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
    assert catalogue.read(raw("ycloud", "direct/42", body(said), endpoint_id="")) == ChatMessage(
        provider_message_id="direct/42",
        conversation_id="room-1--.457b5a59600a34bc",
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


@pytest.mark.parametrize(
    ("provider", "id_in_key"),
    [("ycloud", "direct/42"), ("chatwoot", "direct/42"), ("vetchat", "42"), ("direct", "42")],
)
def test_a_direct_message_that_names_a_built_in_provider_has_a_key_of_its_own_form(
    provider: str, id_in_key: str
) -> None:
    content = body(document(provider=provider))
    assert catalogue.DIRECT.accept(content) == ChatAccepted(provider, id_in_key)
    assert catalogue.DIRECT.identify(content) == (id_in_key,)
    found = catalogue.read(raw(provider, id_in_key, content, endpoint_id=""))
    assert isinstance(found, ChatMessage)
    assert found.provider_message_id == id_in_key


def test_a_record_from_before_such_keys_is_still_read() -> None:
    found = catalogue.read(raw("ycloud", "42", body(document(provider="ycloud")), endpoint_id=""))
    assert isinstance(found, ChatMessage)
    assert found.provider_message_id == "42"


@pytest.mark.parametrize("provider", sorted(catalogue.PROVIDERS))
def test_no_event_of_a_provider_has_a_key_of_the_direct_form(provider: str) -> None:
    event: dict[str, Any] = (
        payload("ycloud", "text_plain.json")
        if provider == "ycloud"
        else payload("chatwoot", "api_channel_text_2026_02.json") | {"account": {"id": "direct"}}
    )
    if provider == "ycloud":
        event["whatsappInboundMessage"]["wamid"] = event["id"] = "direct/42"
    (found,) = catalogue.identify(provider, body(event))
    assert not found.startswith("direct/")
    assert isinstance(catalogue.read(raw(provider, found, body(event))), Quarantine)


@pytest.mark.parametrize(
    ("value", "conversation_id"),
    [("c1", "c1"), ("1~12", "1-12.583b3a14d458f505"), ("客户一", "---.925d5299ad37ce91")],
)
def test_a_direct_conversation_is_nobody_elses(value: str, conversation_id: str) -> None:
    content = body(document(conversation_id=value))
    found = catalogue.read(raw("vetchat", "42", content, endpoint_id=""))
    assert isinstance(found, ChatMessage)
    assert (found.conversation_id, found.aliases) == (conversation_id, ())


@pytest.mark.parametrize(
    ("value", "conversation_id"),
    [
        ("15550109999~15550100001", "15550109999~15550100001"),
        ("shop-2~7~41", "shop-2~7~41"),
        ("c1", "c1"),
        ("1~ñ", "1--.1e9bf71d41854fc5"),
    ],
)
def test_what_a_bot_answers_is_in_the_conversation_it_answers_in(
    value: str, conversation_id: str
) -> None:
    content = body(document(conversation_id=value, direction="outbound"))
    found = catalogue.read(raw("vetchat", "42", content, endpoint_id=""))
    assert isinstance(found, ChatMessage)
    assert (found.conversation_id, found.role, found.aliases) == (conversation_id, "assistant", ())


def test_half_a_million_media_entries_are_refused_in_no_time() -> None:
    content = b'{"media":[' + b",".join([b"1"] * 500_000) + b"]}"
    fields = b'{"' + b'":1,"'.join(b"%x" % n for n in range(90_000)) + b'":1}'
    for huge in (content, fields, b'{"media":[' + b",".join([b"{}"] * 340_000) + b"]}"):
        began = time.process_time()
        found = catalogue.DIRECT.accept(huge)
        assert time.process_time() - began < 1.0
        assert isinstance(found, ChatRefused)
        assert len(found.errors) <= 50
    assert catalogue.DIRECT.accept(content[:-2] + b",{}]}") == ChatRefused(
        tuple(validate({"media": [1] * 51}))
    )


def test_what_slipped_by_the_receiver_is_quarantined() -> None:
    found = catalogue.read(raw("vetchat", "42", body(document(sender=None)), endpoint_id=""))
    assert found == Quarantine("field_invalid", "sender.id: required")
