import re
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from connectors.console.pages.raw_records import MASK, fields_of, masked
from schemas.codec import encode
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import client_config
from tests.browser.scene import PASSWORD, Scene, said, staged
from tests.integration.console import key_of
from tests.integration.people import Visitor
from tests.topics import make_topic
from tests.unit.records import raw

BODY = b'{"text": "palabra-clave", "link": "https://files.example.com/a.jpg?sig=geheim&e=1"}'


@pytest.fixture
def topic(stack: Settings, namespace: str) -> Iterator[str]:
    """raw-messages with one partition and one record of each of two tenants."""
    admin, name = AdminClient(client_config(stack.kafka)), Names(namespace).topic("raw-messages")
    make_topic(stack.kafka, name, 1)
    producer = Producer(client_config(stack.kafka))
    for tenant in ("acme", "other"):
        record = msgspec.structs.replace(
            raw(content=BODY),
            tenant_id=tenant,
            headers={"ycloud-signature": "t=1,s=aa", "user-agent": "y"},
        )
        producer.produce(name, encode(record), key_of("1", tenant), headers={"tenant": tenant})
    assert producer.flush(20) == 0
    yield name
    admin.delete_topics([name])[name].result(20)


@pytest.fixture
async def scene(stack: Settings, namespace: str, topic: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        for number, offset in enumerate((0, 1, 77)):
            message = said(f"m{number}", 1, "palabra-clave")
            step = msgspec.structs.replace(message.steps[0], partition=0, offset=offset)
            await made.console.write(msgspec.structs.replace(message, steps=(step,)))
        await made.person("rita", "reader")
        await made.person("vera", "viewer")
        yield made


async def record_page(scene: Scene, name: str, identifier: str, index: int = 0) -> str:
    pages = scene.console.parts.pages
    assert pages is not None
    visitor = Visitor(scene.url)
    await visitor.log_in(name, PASSWORD)
    ref = pages.refs.of("acme", "m", key_of(identifier))  # type: ignore[arg-type]
    text = (await visitor.get(f"/t/acme/m/{ref}/record/{index}")).text
    await visitor.client.aclose()
    return re.sub(r"\s+", " ", text)


async def test_a_reader_sees_the_record_with_its_secrets_masked_and_that_is_on_record(
    scene: Scene,
) -> None:
    text = await record_page(scene, "rita", "m0")
    assert "palabra-clave" in text and f"a.jpg?{MASK}" in text and "geheim" not in text
    assert "s=aa" not in text and "raw-messages[0]@0" in text
    log = scene.console.connection
    assert await log.fetchval("SELECT actor FROM audit_log WHERE action = 'record_seen'") == "rita"


async def test_a_viewer_sees_where_and_when_it_was_and_nothing_of_it(scene: Scene) -> None:
    text = await record_page(scene, "vera", "m0")
    assert "palabra-clave" not in text and "Unmask the conversation" in text
    assert "raw-messages[0]@0" in text


async def test_a_record_of_another_tenant_is_as_one_that_is_gone(scene: Scene) -> None:
    for identifier in ("m1", "m2"):
        text = await record_page(scene, "rita", identifier)
        assert "not on the topic any more" in text and "palabra-clave" not in text
    assert "404" in await record_page(scene, "rita", "m0", index=5)


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({"a": {"token": "x", "b": [1, None]}}, [("a.token", MASK), ("a.b.0", "1"), ("a.b.1", "")]),
        (
            {"headers": {"X-Api-Key": "k", "via": ""}},
            [("headers.X-Api-Key", MASK), ("headers.via", "")],
        ),
        ({"url": "see http://x/y?z=1 now"}, [("url", f"see http://x/y?{MASK} now")]),
    ],
)
def test_fields_are_shown_with_their_path_and_secrets_masked(
    value: object, fields: list[tuple[str, str]]
) -> None:
    assert list(fields_of(value)) == fields


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"pubsub_token": "TESTff", "id": 1}', f'{{"pubsub_token": "{MASK}", "id": 1}}'),
        ('{"api_key":"a\\"b","x":"y"}', f'{{"api_key":"{MASK}","x":"y"}}'),
        ('{"hmac_token": "cut of', f'{{"hmac_token": "{MASK}"'),
        ('"https://x/a.jpg?a=1\\u0026X-Amz-Signature=dead"', f'"https://x/a.jpg?{MASK}"'),
        ('"https:\\/\\/x\\/a.jpg?a=1&s=dead"', f'"https:\\/\\/x\\/a.jpg?{MASK}"'),
        ('{"text": "my token is at home"}', '{"text": "my token is at home"}'),
    ],
)
def test_secrets_inside_the_text_of_a_body_are_masked(body: str, shown: str) -> None:
    assert masked(body) == shown


def test_a_record_of_very_many_fields_is_cut() -> None:
    assert len(list(fields_of({"a": list(range(5_000))}))) == 401
    assert masked("https://x/y") == "https://x/y"
