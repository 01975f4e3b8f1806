"""Headers that are read once and reused equal those that are read each time."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.arrival import Arrival
from schemas.headers import Headers, Routing, routed
from schemas.keys import TenantId
from schemas.outcomes import Output
from schemas.topics import Names
from streams.apps.encoding import Encoding
from tests.unit.records import KEY, message

NAMES = ("tenant", "provider", "traceparent", "generation")
ENCODING = Encoding(Names("blue"), 4)
VALUES = st.sampled_from(
    [
        b"",
        b"0",
        b"3",
        b"00",
        b"-1",
        b"9" * 20,
        b"acme",
        b"ycloud",
        b"00-1-2-01",
        "é".encode(),
        b"\xff",
    ]
)
USUAL = st.tuples(VALUES, VALUES, VALUES, VALUES).map(lambda of: list(zip(NAMES, of, strict=True)))
ANY = st.lists(st.tuples(st.sampled_from([*NAMES, "other"]), VALUES), max_size=6)


@given(st.one_of(USUAL, ANY))
def test_an_arrival_says_the_same_whether_its_headers_were_read_before_or_not(
    headers: Headers,
) -> None:
    slow = Arrival("raw-messages", 0, 1, KEY.encode(), b"x", headers)
    quick = Arrival("raw-messages", 0, 1, KEY.encode(), b"x", headers, routed(headers))
    assert quick.routing == slow.routing


@given(USUAL)
def test_headers_of_the_usual_form_are_read_at_once(headers: Headers) -> None:
    assert routed(headers) is not None
    assert routed(headers[1:]) is None and routed([*headers, ("other", b"")]) is None
    assert routed(headers[::-1]) is None


@given(USUAL, st.integers(0, 2))
def test_a_record_has_the_same_headers_whether_those_of_its_source_are_used_again_or_not(
    headers: Headers, generation: int
) -> None:
    read = routed(headers)
    assert read is not None
    output = Output("enriched-messages", KEY, message(), generation)
    slow = ENCODING.write(output, read.traceparent)
    assert ENCODING.write(output, read.traceparent, headers if read.is_plain else None) == slow


@pytest.mark.parametrize(
    ("tenant", "provider", "again"),
    [("acme", "ycloud", True), ("b", "ycloud", False), ("acme", "x", False)],
)
def test_headers_are_used_again_only_for_the_same_tenant_and_provider(
    tenant: str, provider: str, again: bool
) -> None:
    routing = Routing(tenant_id=TenantId(tenant), provider=provider, traceparent="00-1-2-01")
    headers = routing.to_headers()
    record = msgspec.structs.replace(message(), tenant_id="acme", provider="ycloud")
    write = ENCODING.write(Output("enriched-messages", KEY, record), "00-1-2-01", headers)
    assert (write.headers is headers) == again


def test_the_topics_of_two_namespaces_stay_apart() -> None:
    assert [Names(name).topic("media") for name in ("", "blue", "blue.2", "")] == [
        "media",
        "blue-media",
        "blue.2-media",
        "media",
    ]
