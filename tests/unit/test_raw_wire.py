"""The receiver's own encoder of RawMessage writes the same as the general one."""

from datetime import UTC, datetime, timedelta

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.keys import MessageKey, TenantId
from schemas.raw_wire import encode_raw_message, long
from schemas.records import RawMessage
from tests.depth import examples

text = st.text(st.characters(codec="utf-8"), max_size=80)


@settings(max_examples=examples(300))
@given(
    names=st.tuples(text, text, text),
    key=text,
    received_us=st.integers(0, 4_000_000_000_000_000),
    position=st.one_of(st.integers(0, 300), st.integers(0, 2**31 - 1)),
    headers=st.dictionaries(text, text, max_size=5),
    body=st.one_of(st.binary(max_size=300), st.just(b"x" * 9_000), st.just(b"y" * 70_000)),
)
def test_its_bytes_are_those_of_the_codec(
    names: tuple[str, str, str],
    key: str,
    received_us: int,
    position: int,
    headers: dict[str, str],
    body: bytes,
) -> None:
    record = RawMessage(
        tenant_id=TenantId(names[0]),
        provider=names[1],
        message_key=MessageKey(key),
        endpoint_id=names[2],
        received_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=received_us),
        position=position,
        headers=headers,
        body=body,
    )
    value = encode_raw_message(
        names,
        key.encode(),
        received_us=received_us,
        position=position,
        headers=headers,
        body=body,
    )
    assert value == encode(record)
    assert decode(RawMessage, value) == record


@pytest.mark.parametrize("value", [0, 1, 63, 64, 8191, 8192, 2**31, 2**62, 2**63 - 1])
def test_a_long_is_that_of_fastavro(value: int) -> None:
    from io import BytesIO

    out = BytesIO()
    fastavro.schemaless_writer(out, "long", value)
    assert long(value) == out.getvalue()
