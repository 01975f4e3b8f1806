"""The short reading of a body never gives another id or message than the full one."""

import json
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.providers.adapter import Unreadable, identified, parse
from connectors.providers.briefs import brief_event
from connectors.providers.catalogue import PROVIDERS, read
from connectors.providers.chatwoot import MESSAGE, read_document
from schemas.keys import body_id
from schemas.outcomes import Quarantine, Skip
from schemas.records import ChatMessage, RawMessage
from tests.depth import examples
from tests.unit.records import PAYLOADS, raw

BODIES = {
    path: path.read_bytes()
    for provider in PROVIDERS
    for path in sorted(PAYLOADS.glob(f"{provider}/*.json"))
}
SMALL = sorted(
    json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
    for body in BODIES.values()
)
NASTY = [
    b"NaN", b"1e999", b"1.0", b"-0", b"true", b"null", b"[]", b"{}", b'""', b'"\\ud800"', b'"\\u0041"', b"\xff", b"\xed\xa0\x80", b'"a\x01"',
    b"9" * 400, b'{"id":7}', b'{"wamid":"x"}', b'"type"', b'"wamid":', b'"id":', b'"event":"message_updated",', b'"account":{"id":1},', b",", b":",
    b"{", b"}", b"[", b"]", b'"', b"\\", b"\x00", b" ", b"\n", b"\xef\xbb\xbf", b'"direct/1"', b'"sha256-0"',
]  # fmt: skip


def full(provider: str, body: bytes) -> tuple[str, ...]:
    """The full reading: every field is read."""
    try:
        return identified(body, PROVIDERS[provider].event_key(parse(body)))
    except Unreadable:
        return (body_id(body),)


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_captured_body_has_the_same_id_by_both_readings(provider: str, path: Path) -> None:
    assert PROVIDERS[provider].identify(BODIES[path]) == full(provider, BODIES[path])


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A captured body with pieces replaced, inserted or removed."""
    body = draw(st.sampled_from(SMALL))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        to = min(len(body), at + draw(st.sampled_from([0, 0, 1, 2, 5, 40])))
        piece = draw(
            st.one_of(st.sampled_from(NASTY), st.binary(max_size=3), st.just(body[at : at + 60]))
        )
        body = body[:at] + piece + body[to:]
    return body


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "wamid", "type", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)


def record_of(body: bytes) -> RawMessage:
    return raw("chatwoot", PROVIDERS["chatwoot"].identify(body)[0], body, endpoint_id="ep-1")


def fully_read(record: RawMessage) -> ChatMessage | Skip | Quarantine:
    """The full reading: a message is made from every field."""
    try:
        return read_document(record, parse(record.body))
    except Unreadable as unreadable:
        return unreadable.verdict


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_captured_body_says_the_same_by_both_readings(path: Path) -> None:
    record = record_of(BODIES[path])
    assert read(record) == fully_read(record)


@settings(max_examples=examples(1500))
@given(changed())
def test_a_changed_body_says_the_same_by_both_readings(body: bytes) -> None:
    record = record_of(body)
    assert read(record) == fully_read(record)


@given(st.data())
def test_a_message_with_a_field_of_another_kind_says_the_same_by_both_readings(
    data: st.DataObject,
) -> None:
    path = data.draw(st.sampled_from([one for one in BODIES if one.parent.name == "chatwoot"]))
    inner = document = json.loads(BODIES[path])
    for _ in range(data.draw(st.integers(0, 2))):
        objects = [one for one in inner.values() if isinstance(one, dict) and one]
        inner = data.draw(st.sampled_from(objects)) if objects else inner
    inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(values)
    record = record_of(json.dumps(document).encode())
    assert read(record) == fully_read(record)


class Watched(dict[str, object]):
    """An object that notes the names of the fields that are read."""

    asked: set[str]

    def __init__(self, of: dict[str, object]) -> None:
        super().__init__(of)
        self.asked = set()

    def get(self, key: str, default: object = None) -> object:
        self.asked.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)


def test_the_short_reading_of_a_message_has_every_field_that_is_asked_for() -> None:
    for path in BODIES:
        document = json.loads(BODIES[path])
        if path.parent.name != "chatwoot" or document.get("event") != "message_created":
            continue
        event, talk = Watched(document), Watched(document["conversation"])
        event["conversation"] = talk
        read_document(record_of(BODIES[path]), event)
        fields = get_type_hints(MESSAGE.type)
        assert event.asked <= fields.keys()
        assert talk.asked <= get_type_hints(fields["conversation"]).keys()


EVENT_TYPES = (
    "whatsapp.inbound_message.received", "messenger.inbound_message.received", "whatsapp.smb.history", "whatsapp.echo_message.updated",
    "whatsapp.echo_message.created", "whatsapp.message.updated", "message_created", "message_updated", "conversation_created",
)  # fmt: skip
events = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "type", "event", "id", "account", "whatsappInboundMessage", "messengerInboundMessage", "whatsappMessage",
                "whatsappEchoMessage", "content_attributes", "other",
            ]
        ),
        st.one_of(st.sampled_from(EVENT_TYPES), values),
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=examples(1500))
@given(changed(), st.sampled_from(sorted(PROVIDERS)))
def test_a_changed_body_has_the_same_id_by_both_readings(body: bytes, provider: str) -> None:
    assert PROVIDERS[provider].identify(body) == full(provider, body)


@settings(max_examples=examples(1500))
@given(events, st.sampled_from(sorted(PROVIDERS)))
def test_repeated_and_strangely_typed_fields_give_the_same_id_by_both_readings(
    pairs: list[tuple[str, object]], provider: str
) -> None:
    fields = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
    body = ("{" + fields + "}").encode(errors="surrogatepass")
    assert PROVIDERS[provider].identify(body) == full(provider, body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"event":"message_created","id":1,"account":{"id":2},"x":"\xff"}',
        b'{"event":"message_created","id":1,"account":{"id":2},"x":"\xed\xa0\x80"}',
        b'{"event":"message_created","id":1,"account":{"id":2},"x":' + b"9" * 4_301 + b"}",
        b'{"event":"message_created","id":1,"account":{"id":2},"x":' + b"[" * 61 + b"]" * 61 + b"}",
        *(
            b'{"event":"message_created","y":"' + b"z" * before + b'","x":' + b"9" * 4_301 + b"}"
            for before in (0, 4_000, 4_064, 8_160, 9_000)
        ),
    ],
    ids=["not UTF-8", "a surrogate", "a long number", "nested", *map(str, range(5))],
)
def test_what_the_short_reading_would_skip_over_is_read_in_full(body: bytes) -> None:
    brief = PROVIDERS["chatwoot"].brief
    assert brief is not None
    brief.decode(body)
    assert brief_event(brief, body) is None


def test_ordinary_messages_are_read_briefly() -> None:
    for provider, name in (("ycloud", "text_plain"), ("chatwoot", "facebook_image")):
        document = json.loads((PAYLOADS / provider / f"{name}.json").read_bytes())
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        brief = PROVIDERS[provider].brief
        assert brief is not None
        event = brief_event(brief, body)
        assert event is not None and PROVIDERS[provider].is_key_brief(event)
