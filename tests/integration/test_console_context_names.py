"""A conversation answers to each of its names with all of its messages, and nobody else's."""

import json
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from connectors.providers import catalogue
from schemas.keys import TenantId
from schemas.records import ChatMessage, EnrichedMessage
from streams.stages.message import first_version
from tests.integration.console import Console, row
from tests.integration.contexts import ago, context, described
from tests.unit.records import SOURCE, body, payload, raw

FIELD = Path(__file__).parents[1] / "field" / "two-forms-of-a-number"
FORMS = ("15550104999~5215550104010", "15550104999~525550104010", "15550104999~MX.77001")


def understood(provider: str, event: dict[str, Any], **fields: Any) -> EnrichedMessage:
    """The first version of an event's message, as dedupe makes it."""
    content = body(event)
    (found,) = catalogue.identify(provider, content)
    record = raw(provider, found, content, received_at=datetime.now(UTC), **fields)
    chat = catalogue.read(record)
    assert isinstance(chat, ChatMessage), chat
    return first_version(chat, record, generation=0, source=SOURCE, now=record.received_at)


async def test_a_conversation_answers_to_each_of_its_names_with_the_messages_of_both(
    console: Console,
) -> None:
    by_phone, by_user = "15550109999~15550100001", "15550109999~US.1"
    await console.write(
        row("1", content="por teléfono", conversation_id=by_phone, aliases=(by_user,), **ago(9)),
        row("2", content="por usuario", conversation_id=by_user, **ago(5)),
        row("3", content="de otro", conversation_id="15550109999~15550100003"),
        row("1", content="de otro inquilino", tenant="other", conversation_id=by_user),
    )
    for name in (by_phone, by_user):
        answer = await context(console, path=f"/api/conversations/{name}/context")
        assert (answer["conversation_id"], [m["content"] for m in answer["messages"]]) == (
            name,
            ["por teléfono", "por usuario"],
        )


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_either_form_of_a_number_and_the_user_id_show_the_whole_conversation(
    console: Console, order: tuple[int, ...]
) -> None:
    events = [json.loads(file.read_bytes()) for file in sorted(FIELD.glob("*.json"))]
    for index in order:
        await console.write(understood("ycloud", events[index]))
    for name in FORMS:
        answer = await context(console, path=f"/api/conversations/{name}/context")
        assert {m["content"] for m in answer["messages"]} == {
            "desde 521",
            "respuesta a 52",
            "solo uid",
        }


async def test_the_other_form_of_a_number_leads_to_the_user_id_without_a_message_of_its_own(
    console: Console,
) -> None:
    events = [json.loads(file.read_bytes()) for file in sorted(FIELD.glob("*.json"))]
    await console.write(understood("ycloud", events[0]), understood("ycloud", events[2]))
    answer = await context(console, path=f"/api/conversations/{FORMS[1]}/context")
    assert {m["content"] for m in answer["messages"]} == {"desde 521", "solo uid"}


async def test_a_conversation_of_very_many_names_is_bounded_and_keeps_its_own(
    console: Console,
) -> None:
    names = [f"a~{number}" for number in range(300)]
    await console.write(
        row("1", content="aquí", conversation_id="a~b", aliases=tuple(names)),
        *(
            row(f"x{number}", content="allí", conversation_id=name, aliases=tuple(names[:20]))
            for number, name in enumerate(names[:40])
        ),
    )
    found = await console.parts.reading.conversation_ids(TenantId("acme"), "a~b")
    assert found[0] == "a~b"
    assert len(found) == len({*found}) <= 64


async def test_a_sender_of_chat_asks_by_the_id_it_gave_and_hears_of_nobody_else(
    console: Console,
) -> None:
    names = ("客户一", "顾客二", "a b", "a-b", "1~12", "room/1")
    for number, name in enumerate(names):
        document = {
            "provider": "shop",
            "provider_message_id": str(number),
            "conversation_id": name,
            "sender": {"id": "1"},
            "text": f"secreto de {name}",
        }
        content = body(document)
        record = raw("shop", str(number), content, endpoint_id="", received_at=datetime.now(UTC))
        chat = catalogue.read(record)
        assert isinstance(chat, ChatMessage)
        await console.write(
            first_version(chat, record, generation=0, source=SOURCE, now=record.received_at)
        )
    chatwoot = payload("chatwoot", "api_channel_text_2026_02.json")
    chatwoot |= {"account": {"id": 1}, "conversation": {"id": 12}, "content": "de chatwoot"}
    await console.write(understood("chatwoot", chatwoot))
    for name in names:
        path = f"/api/conversations/{quote(name, safe='')}/context"
        said = [m["content"] for m in (await context(console, path=path))["messages"]]
        assert said == (["de chatwoot"] if name == "1~12" else [f"secreto de {name}"])


async def test_another_tenants_conversation_of_the_same_name_is_another(console: Console) -> None:
    await console.write(
        row("1", described("suyo"), content="suyo"), row("1", tenant="other", content="mío")
    )
    answer = await context(console, tenant="other")
    assert ([m["content"] for m in answer["messages"]], answer["visual_context"]) == (["mío"], "")
