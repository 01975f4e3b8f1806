"""An adapter never raises, whatever the bytes, and its messages can always be written."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.providers import catalogue, direct
from connectors.providers.adapter import Unreadable, parse
from schemas.chat import ChatRefused
from schemas.codec import decode, encode
from schemas.keys import is_conversation_id, is_provider_id
from schemas.outcomes import Forward, Quarantine, Skip
from schemas.records import ChatMessage, EnrichedMessage
from schemas.text import storable_deep
from streams.stages.dedupe import dedupe
from streams.stages.message import first_version
from tests.depth import examples
from tests.unit.records import NOW, PAYLOADS, SOURCE, arrival, payload, raw

PROVIDERS = st.sampled_from([*sorted(catalogue.PROVIDERS), "direct", "fax"])
DIRECT_BODY = {
    "provider": "direct",
    "provider_message_id": "42",
    "conversation_id": "c1",
    "sender": {"id": "u1", "name": "Maya"},
    "text": "Hola",
    "media": [
        {
            "type": "image",
            "url": "https://files.example.com/1",
            "mime_type": "image/jpeg",
            "filename": "a.jpg",
        }
    ],
    "occurred_at": "2026-07-14T10:05:00Z",
    "direction": "inbound",
}
CAPTURED: list[tuple[str, Any]] = [
    (provider, json.loads(file.read_bytes()))
    for provider in ("ycloud", "chatwoot")
    for file in sorted((PAYLOADS / provider).glob("*.json"))
    if file.stem != "signature_vectors"
] + [("direct", DIRECT_BODY)]

ANY_TEXT = st.text(alphabet=st.characters(), max_size=20)
"""Includes surrogates and U+0000, which JSON can contain."""
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    ANY_TEXT,
    st.sampled_from([10**400, "9" * 5_000, "https://[", "http://a/%00", "\x00", "²"]),
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


def is_storable(value: Any) -> bool:
    return bool(storable_deep(value) == value)


def check(provider: str, content: bytes) -> None:
    identify = (
        catalogue.DIRECT.identify
        if provider == "direct"
        else lambda found: catalogue.identify(provider, found)
    )
    ids = identify(content)
    assert ids
    assert all(map(is_provider_id, ids))
    assert ids == identify(content)
    record = raw(provider, ids[0], content, endpoint_id="" if provider == "direct" else "ep-1")
    found = catalogue.read(record)
    match found:
        case Skip():
            pass
        case Quarantine(reason, detail):
            assert reason != "identifier_mismatch"
            assert len(detail) <= 400
            assert is_storable(detail)
        case ChatMessage():
            assert found.provider_message_id == ids[0]
            assert found.content != ""
            message = first_version(found, record, generation=0, source=SOURCE, now=NOW)
            assert decode(EnrichedMessage, encode(message)) == message
            fields = [message.content, message.sender_id, message.sender_name, found.attributes]
            fields += [
                text
                for one in found.attachments
                for text in (one.url, one.media_id, one.mime_type, one.filename)
            ]
            assert is_storable(fields)
            conversations = (message.conversation_id, *message.aliases)
            assert all(
                one and all(c.isascii() and (c.isalnum() or c in "._~-") for c in one)
                for one in conversations
            )


def dumped(document: object) -> bytes:
    """JSON as a careless program writes it, with NaN and lone surrogates."""
    try:
        return json.dumps(document).encode()
    except ValueError:  # an integer of more digits than Python writes
        return b"{}"


def read_by(read: Callable[[bytes], object], content: bytes) -> str:
    try:
        return repr(read(content))
    except (ValueError, RecursionError):
        return "not JSON"
    except Unreadable as unreadable:
        return "not JSON" if unreadable.verdict.reason == "not_json" else repr(unreadable.verdict)


@given(
    st.dictionaries(ANY_TEXT, ANY_JSON, max_size=4).map(dumped),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_body_says_what_the_standard_library_reads_in_it(content: bytes, encoding: str) -> None:
    content = content.decode().encode(encoding)
    assert read_by(parse, content) == read_by(json.loads, content)


@given(
    st.lists(
        st.sampled_from(
            [
                "{",
                "}",
                "[",
                "]",
                ":",
                ",",
                '"',
                "a",
                "1",
                ".",
                "e",
                "-",
                "NaN",
                "\\ud800",
                "\\",
                "\xff",
            ]
        ),
        max_size=12,
    )
)
def test_what_the_standard_library_refuses_is_not_json(pieces: list[str]) -> None:
    content = f'{{"a": {"".join(pieces)}}}'.encode("latin-1")
    assert (read_by(parse, content) == "not JSON") == (read_by(json.loads, content) == "not JSON")


@pytest.mark.parametrize(
    ("content", "accepted"),
    [
        ('{"a":' * 60 + "1" + "}" * 60, True),
        ('{"a":' * 61 + "1" + "}" * 61, False),
        (f'{{"a": {[[]] * 99}}}', True),
    ],
)
def test_a_body_may_nest_sixty_deep_and_hold_any_number_side_by_side(
    content: str, accepted: bool
) -> None:
    assert read_by(parse, content.encode()) == (
        repr(json.loads(content))
        if accepted
        else repr(Quarantine("field_invalid", "nested too deep"))
    )


@given(PROVIDERS, st.binary(max_size=300))
def test_arbitrary_bytes(provider: str, content: bytes) -> None:
    check(provider, content)


@given(PROVIDERS, ANY_JSON)
def test_arbitrary_json(provider: str, document: object) -> None:
    check(provider, dumped(document))


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in the document."""
    inside = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    return [
        found for key, value in inside for found in [(*path, key), *places(value, (*path, key))]
    ]


@settings(max_examples=examples(400))
@given(st.sampled_from(CAPTURED), st.data())
def test_a_valid_body_with_values_replaced_or_missing(
    captured: tuple[str, Any], data: st.DataObject
) -> None:
    provider, document = captured[0], deepcopy(captured[1])
    for _ in range(data.draw(st.integers(1, 4))):
        paths = places(document)
        if not paths:
            break
        *way, last = data.draw(st.sampled_from(paths))
        parent = document
        for step in way:
            parent = parent[step]
        if isinstance(parent, dict) and data.draw(st.booleans()):
            del parent[last]
        else:
            parent[last] = data.draw(ANY_JSON)
    check(provider, dumped(document))


@given(st.sampled_from(CAPTURED), st.data())
def test_a_valid_body_with_bytes_replaced_or_cut(
    captured: tuple[str, Any], data: st.DataObject
) -> None:
    content = bytearray(dumped(captured[1]))
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    check(captured[0], bytes(content[: data.draw(st.integers(0, len(content)))]))


NEARLY_DIRECT = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(["ycloud", "chatwoot", "vetchat", "x" * 32]) | ANY_JSON,
        "provider_message_id": ANY_TEXT | st.sampled_from(["42", "direct/42", "x" * 512, "a:b"]),
        "conversation_id": ANY_TEXT | st.sampled_from(["c1", "1~12", "\ud800", "x" * 400]),
        "sender": st.fixed_dictionaries(
            {"id": ANY_TEXT | st.integers()}, optional={"name": ANY_TEXT, "x": ANY_JSON}
        ),
    },
    optional={
        "text": ANY_TEXT | st.none(),
        "media": st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from([*direct.MEDIA_TYPES, "location"]),
                    "url": ANY_TEXT.map(lambda text: f"https://{text}") | ANY_TEXT,
                },
                optional={"mime_type": ANY_TEXT, "filename": ANY_TEXT, "x": ANY_JSON},
            ),
            max_size=3,
        ),
        "occurred_at": SCALARS
        | st.sampled_from(["2026-07-14T10:05:00Z", "0001-01-01", "9999-12-31"]),
        "direction": st.sampled_from(["inbound", "outbound", None, "sideways"]),
    },
)


def deep(levels: int) -> dict[str, Any]:
    nested: Any = []
    for _ in range(levels):
        nested = [nested]
    return DIRECT_BODY | {"sender": {"id": "1", "x": nested}}


@given(NEARLY_DIRECT.map(dumped) | ANY_JSON.map(dumped) | st.binary(max_size=60))
@example(dumped(deep(55)))
@example(dumped(deep(70)))
@example(json.dumps(DIRECT_BODY).encode("utf-16"))
@example(json.dumps(DIRECT_BODY)[:-1].encode() + b',"provider":"ycloud"}')
def test_whatever_is_accepted_by_the_direct_way_is_read_as_a_message(content: bytes) -> None:
    accepted = catalogue.DIRECT.accept(content)
    if isinstance(accepted, ChatRefused):
        assert accepted.errors or not accepted.is_json
        assert all(is_storable(error) and error for error in accepted.errors)
        return
    record = raw(accepted.provider, accepted.provider_message_id, content, endpoint_id="")
    found = catalogue.read(record)
    assert isinstance(found, ChatMessage), found
    message = first_version(found, record, generation=0, source=SOURCE, now=NOW)
    assert decode(EnrichedMessage, encode(message)) == message
    assert is_conversation_id(message.conversation_id)
    assert is_storable([message.content, message.sender_id, message.sender_name, found.attributes])


@given(ANY_JSON)
def test_any_document_of_the_direct_way_is_either_wrong_or_read(document: object) -> None:
    errors = direct.validate(document)
    assert all(isinstance(error, str) and error for error in errors)


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
