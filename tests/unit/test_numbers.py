import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers import catalogue
from connectors.providers.numbers import forms_of
from schemas.keys import conversation_part, direct_conversation_id
from schemas.records import ChatMessage
from tests.unit.records import body, payload, raw


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5215550104010", "525550104010"),
        ("5218112345678", "528112345678"),
        ("5511987654321", "551187654321"),
        ("5531998765432", "553198765432"),
        ("5491123456789", "541123456789"),
        ("5492614567890", "542614567890"),
    ],
)
def test_both_forms_of_a_number_name_each_other(one: str, other: str) -> None:
    assert (forms_of(one), forms_of(other)) == ((one, other), (other, one))


@pytest.mark.parametrize(
    "digits",
    [
        "",
        "15550104010",
        "521555010401",
        "52155501040100",
        "5211550104010",
        "551133334444",
        "5511933334444",
        "550187654321",
        "54911234567",
        "549912345678",
        "34612345678",
        "5215550104010x",
    ],
    ids=[
        "none", "another country", "too short", "too long", "no Mexican area", "a Brazilian landline", "a mobile that never lacked the 9",
        "no Brazilian area", "an Argentine one too short", "no Argentine area", "Spain", "not digits",
    ],
)  # fmt: skip
def test_any_other_number_has_one_form(digits: str) -> None:
    assert forms_of(digits) == (digits,)


@given(
    st.sampled_from(["52", "521", "55", "5511", "55119", "54", "549", "1", ""]),
    st.text("0123456789", max_size=11),
)
def test_the_other_form_of_the_other_form_is_the_number(prefix: str, rest: str) -> None:
    given_, *others = forms_of(prefix + rest)
    assert given_ == prefix + rest
    for other in others:
        assert forms_of(other) == (other, given_)


def conversations(event: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    (found,) = catalogue.identify("ycloud", body(event))
    message = catalogue.read(raw("ycloud", found, body(event)))
    assert isinstance(message, ChatMessage), message
    return message.conversation_id, message.aliases


def event(**fields: Any) -> dict[str, Any]:
    document = payload("ycloud", "text_plain.json")
    document["whatsappInboundMessage"] |= fields
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("fields", "conversation_id", "aliases"),
    [
        (
            {"from": "+52 1 555 010 4010", "to": "+15550104999", "fromUserId": "MX.1"},
            "15550104999~5215550104010",
            ("15550104999~525550104010", "15550104999~MX.1"),
        ),
        (
            {"from": "5511987654321", "to": "+15550104999"},
            "15550104999~5511987654321",
            ("15550104999~551187654321",),
        ),
        (
            {"from": "34612345678", "to": "+525550104999"},
            "525550104999~34612345678",
            ("5215550104999~34612345678",),
        ),
        *(
            (
                {"from": written, "to": "+15550104999"},
                "15550104999~525550104010",
                ("15550104999~5215550104010",),
            )
            for written in (
                "0052 55 5010 4010",
                "tel:+52-55-5010-4010",
                "whatsapp:+525550104010",
                "WhatsApp: +52 55 5010 4010",
                "５２５５５０１０４０１０",
                "＋52 55 5010 4010",
                "٥٢٥٥٥٠١٠٤٠١٠",
            )
        ),
        (
            {"from": None, "to": "+15550104999", "fromUserId": "MX.1"},
            "15550104999~MX.1",
            (),
        ),
    ],
)
def test_a_conversation_is_also_named_by_the_other_form_of_its_numbers(
    fields: dict[str, Any], conversation_id: str, aliases: tuple[str, ...]
) -> None:
    assert conversations(event(**fields)) == (conversation_id, aliases)


def test_ids_longer_than_any_name_are_told_apart() -> None:
    one, other = (
        conversations(event(**{"from": None, "fromUserId": "x" * 300 + end}))[0] for end in "ab"
    )
    assert one != other
    groups = [conversations(event(groupId=name))[0] for name in ("g" * 600 + "1", "g" * 600 + "2")]
    assert len({*groups}) == 2 and all(len(name) <= 400 for name in groups)


@pytest.mark.parametrize("group", ["120363041234567890@g.us", "Abc123", "77", "a~b"])
def test_a_group_is_never_a_conversation_of_post_chat(group: str) -> None:
    found, aliases = conversations(event(groupId=group))
    assert direct_conversation_id(group) not in (found, *aliases)
    assert direct_conversation_id(found) != found


@pytest.mark.parametrize("name", ["tel:Ana", "fax:+525550104010", "tel:", "MX.00525550104010"])
def test_what_is_not_a_number_stays_what_it_is(name: str) -> None:
    assert conversations(event(**{"from": name, "to": "+15550104999"})) == (
        f"15550104999~{conversation_part(name)}",
        (),
    )


def test_two_zeros_before_a_short_number_are_part_of_it() -> None:
    assert conversations(event(**{"from": "001234", "to": "+15550104999"})) == (
        "15550104999~001234",
        (),
    )
