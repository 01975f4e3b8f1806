"""The short reading of a body for its id never gives another id than the full one."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.providers.adapter import Unreadable, identified, parse
from connectors.providers.briefs import MOST_BYTES, brief_event
from connectors.providers.catalogue import PROVIDERS
from schemas.keys import body_id
from tests.depth import examples
from tests.unit.records import PAYLOADS

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
    """The plain twin: every field is read."""
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
    """A captured body with pieces replaced, put in or taken out."""
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
    ],
    ids=["not UTF-8", "a surrogate", "a long number", "nested"],
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
        assert brief is not None and len(body) < MOST_BYTES
        event = brief_event(brief, body)
        assert event is not None and PROVIDERS[provider].is_key_brief(event)
