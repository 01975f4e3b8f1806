import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import (
    PROVIDER_ID_MAX_CHARS,
    TENANT_PATTERN,
    TenantId,
    body_id,
    claim_digest,
    conversation_part,
    conversation_partition,
    direct_conversation_id,
    is_conversation_id,
    is_instance,
    is_provider_id,
    message_key,
    split_message_key,
)
from schemas.text import storable, storable_deep

ACME = TenantId("acme")


def test_the_id_is_all_that_follows_the_second_colon() -> None:
    assert split_message_key(message_key(ACME, "chatwoot", "7/8:9:10")) == (
        "acme",
        "chatwoot",
        "7/8:9:10",
    )


@given(
    st.from_regex(TENANT_PATTERN, fullmatch=True),
    st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True),
    st.text(min_size=1).filter(is_provider_id),
)
def test_a_key_splits_into_what_it_was_made_of(
    tenant: str, provider: str, provider_id: str
) -> None:
    assert split_message_key(message_key(TenantId(tenant), provider, provider_id)) == (
        tenant,
        provider,
        provider_id,
    )


@pytest.mark.parametrize("key", ["", "acme", "acme:ycloud"])
def test_what_has_no_two_colons_is_not_a_key(key: str) -> None:
    with pytest.raises(ValueError):
        split_message_key(key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("wamid.HBgL==", True),
        ("con espacio ñ", True),
        ("x" * PROVIDER_ID_MAX_CHARS, True),
        ("x" * (PROVIDER_ID_MAX_CHARS + 1), False),
        ("", False),
        ("a\nb", False),
        ("a\0b", False),
        ("\ud800", False),
        (7, False),
        (None, False),
    ],
)
def test_a_provider_id_is_printable_text_of_a_sane_length(value: object, usable: bool) -> None:
    assert is_provider_id(value) is usable


def test_a_body_without_an_id_is_named_by_its_bytes() -> None:
    assert body_id(b"{") == "sha256-" + hashlib.sha256(b"{").hexdigest()
    assert body_id(b"{") != body_id(b"{ ")


def test_a_claim_is_one_a_key_and_generation() -> None:
    claims = {
        claim_digest(key, generation)
        for key in (b"acme:ycloud:1", b"acme:ycloud:11")
        for generation in (0, 1, 11)
    }
    assert len(claims) == 6
    assert {len(claim) for claim in claims} == {16}


def test_claims_stay_what_they_are_in_tables_written_long_ago() -> None:
    assert (
        claim_digest(b"acme:ycloud:wamid.1", 0)
        == hashlib.blake2b(b"acme:ycloud:wamid.1", digest_size=16).digest()
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("14155550123", "14155550123"),
        ("1203@g.us", "1203-g.us.b2488b046c9af1b7"),
        ("a_b.c-d", "a_b.c-d"),
        ("a~b_c.d-e", "a-b_c.d-e.09cfb5fffd32519a"),
        ("ñ/ ", "---.5e3524ff3e468515"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 183 + ".84a0678c90937f5d"),
    ],
)
def test_a_conversation_part_holds_only_what_an_address_may(value: str, written: str) -> None:
    assert conversation_part(value) == written


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("客户一", "顾客二"),
        ("a b", "a-b"),
        ("ana+1@example.com", "ana-1@example.com"),
        ("x" * 300 + "1", "x" * 300 + "2"),
        ("\ud800", "\ud801"),
        ("\0", "\ufffd"),
        ("1~12", "1-12"),
        ("a~b", "a"),
    ],
)
def test_ids_that_differ_make_conversations_that_differ(one: str, other: str) -> None:
    assert conversation_part(one) != conversation_part(other)
    assert direct_conversation_id(one) != direct_conversation_id(other)


@given(
    st.lists(st.text(alphabet=st.characters(), min_size=1, max_size=500), min_size=2, unique=True)
)
def test_no_two_ids_make_the_same_conversation(values: list[str]) -> None:
    for write in (conversation_part, direct_conversation_id):
        written = {write(value) for value in values}
        assert len(written) == len(values)
        assert all(is_conversation_id(one) and "~" not in one for one in written)


@given(st.text(min_size=1))
def test_an_id_of_allowed_characters_keeps_its_form(value: str) -> None:
    kept = "".join(one for one in value if one.isascii() and (one.isalnum() or one in "._-"))[:200]
    assert conversation_part(kept) == direct_conversation_id(kept) == kept


@pytest.mark.parametrize(
    ("value", "labels"),
    [("b", True), ("shop-2", True), ("x" * 32, True), ("x" * 33, False), ("", False), ("B", False),
     ("a/b", False), ("a~b", False), ("-a", False), ("direct", False)],
)  # fmt: skip
def test_a_label_of_a_server_is_a_short_plain_word(value: str, labels: bool) -> None:
    assert is_instance(value) is labels


@pytest.mark.parametrize(
    ("conversation", "partitions", "partition"),
    [
        ("14155550123~12025550147", 12, 8),
        ("14155550123~12025550147", 4, 0),
        ("7~1681", 12, 11),
        ("7~1681", 1, 0),
    ],
)
def test_a_conversation_is_in_the_partition_that_any_crc32_gives(
    conversation: str, partitions: int, partition: int
) -> None:
    assert (
        conversation_partition(ACME, conversation, partitions)
        == _bitwise_crc32(f"acme:{conversation}".encode()) % partitions
        == partition
    )


def _bitwise_crc32(data: bytes) -> int:
    """CRC-32 as any other program computes it: reflected, polynomial 0xEDB88320."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@given(st.text(alphabet=st.characters(), max_size=50))
def test_storable_text_can_be_written_and_nothing_else_changes(text: str) -> None:
    safe = storable(text)
    assert safe.encode().decode() == safe
    assert "\0" not in safe
    assert [b for a, b in zip(text, safe, strict=True) if a != b] == ["\ufffd"] * sum(
        a == "\0" or 0xD800 <= ord(a) <= 0xDFFF for a in text
    )


def test_a_whole_document_is_made_storable_keys_included() -> None:
    assert storable_deep({"a\0": ["\ud83d", {"b": 1}, None, True, 1.5]}) == {
        "a\ufffd": ["\ufffd", {"b": 1}, None, True, 1.5]
    }
