"""The versions of a message that the topic still has."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from schemas.codec import encode
from schemas.records import Attachment
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka import one_record
from storage.kafka.client import client_config
from storage.kafka.one_record import records_of_key
from streams.roles.other_roles import spans_of
from streams.stages.message import attributes_json
from tests.browser.scene import PASSWORD, Scene, said, staged
from tests.integration.console import key_of
from tests.integration.people import Visitor
from tests.topics import make_topic

ALL_TIMES = [(0, 2**42)]


def of_version(version: int, status: str, description: str | None = None, **fields: Any) -> Any:
    file = Attachment(
        index=0,
        type="image",
        status="described" if description else "pending",
        description=description,
        original_url="https://x/1",
    )
    return msgspec.structs.replace(
        said("1", 1, "palabra-clave", file),
        version=version,
        status=status,
        content_attributes=attributes_json((file,), {}),
        **fields,
    )


@pytest.fixture
def topic(stack: Settings, namespace: str) -> Iterator[tuple[str, datetime]]:
    """enriched-messages with three versions of a message, one of another tenant and other keys.

    Also returns the time at which they were written.
    """
    admin, name = (
        AdminClient(client_config(stack.kafka)),
        Names(namespace).topic("enriched-messages"),
    )
    make_topic(stack.kafka, name, stack.kafka.partitions)
    producer = Producer(client_config(stack.kafka))
    records = [
        ("acme", key_of("1"), of_version(1, "pending")),
        ("acme", key_of("2"), of_version(1, "pending", "ajena")),
        ("acme", key_of("1"), of_version(2, "complete", "un gato")),
        ("other", key_of("1"), of_version(3, "complete", "de otro negocio")),
        ("acme", key_of("1"), of_version(7_001, "complete", "un gato atigrado")),
    ]
    for tenant, key, record in records:
        for partition in range(stack.kafka.partitions):
            producer.produce(name, encode(record), key, partition, headers={"tenant": tenant})
    assert producer.flush(20) == 0
    yield name, datetime.now(UTC)
    admin.delete_topics([name])[name].result(20)


@pytest.fixture
async def scene(
    stack: Settings, namespace: str, topic: tuple[str, datetime]
) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        newest = of_version(7_001, "complete", "un gato atigrado", enriched_at=topic[1])
        await made.console.write(newest)
        await made.person("rita", "reader")
        await made.person("vera", "viewer")
        yield made


async def versions_page(scene: Scene, name: str) -> str:
    pages = scene.console.parts.pages
    assert pages is not None
    visitor = Visitor(scene.url)
    await visitor.log_in(name, PASSWORD)
    ref = pages.refs.of("acme", "m", key_of("1"))  # type: ignore[arg-type]
    assert f"{ref}/versions" in (await visitor.get(f"/t/acme/m/{ref}")).text
    text = (await visitor.get(f"/t/acme/m/{ref}/versions")).text
    await visitor.client.aclose()
    return re.sub(r"\s+", " ", text)


async def test_versions_are_side_by_side_with_their_generations(scene: Scene) -> None:
    text = await versions_page(scene, "rita")
    shown = re.findall(r"<h2>Version (\d+)</h2><span class=\"tag\">([^<]*)</span>", text)
    assert shown == [("1", "live traffic"), ("2", "live traffic"), ("7001", "repair 7")]
    assert "un gato</p>" in re.sub(r" </p>", "</p>", text) and "un gato atigrado" in text
    assert "de otro negocio" not in text and "ajena" not in text
    log = scene.console.connection
    assert await log.fetchval("SELECT actor FROM audit_log WHERE action = 'record_seen'") == "rita"


async def test_a_viewer_sees_which_versions_there_are_and_nothing_of_their_content(
    scene: Scene,
) -> None:
    text = await versions_page(scene, "vera")
    assert "Version 7001" in text and "described" in text
    assert "gato" not in text and "palabra-clave" not in text
    assert (
        await scene.console.connection.fetchval(
            "SELECT count(*) FROM audit_log WHERE action = 'record_seen'"
        )
        == 0
    )


async def test_a_message_whose_versions_are_gone_says_why(scene: Scene) -> None:
    await scene.console.connection.execute(
        "UPDATE chat_messages SET message_key = message_key || '-x', steps = NULL"
    )
    pages = scene.console.parts.pages
    assert pages is not None
    visitor = Visitor(scene.url)
    await visitor.log_in("rita", PASSWORD)
    ref = pages.refs.of("acme", "m", f"{key_of('1')}-x")  # type: ignore[arg-type]
    assert "kept there for 8 days" in (await visitor.get(f"/t/acme/m/{ref}/versions")).text
    await visitor.client.aclose()


def test_a_search_that_would_take_too_long_ends_and_says_so(
    stack: Settings, topic: tuple[str, datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, key = (topic[0], 0), key_of("1").encode()
    found, is_whole = records_of_key(stack.kafka, "versions", place, key, ALL_TIMES, 99)
    assert (len(found), is_whole) == (4, True)
    monkeypatch.setattr(one_record, "_BATCH", 1)
    found, is_whole = records_of_key(stack.kafka, "versions", place, key, ALL_TIMES, 2)
    assert (len(found), is_whole) == (1, False)


async def test_where_the_newest_version_was_not_found_the_page_says_that_some_may_be_missing(
    scene: Scene,
) -> None:
    assert "Not found" not in await versions_page(scene, "rita")
    await scene.console.connection.execute("UPDATE chat_messages SET version = 9001")
    assert "Not found: 9001." in await versions_page(scene, "rita")


def test_moments_that_are_close_are_one_span() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ms = int(at.timestamp() * 1000)
    later = [at + timedelta(seconds=20), at, at + timedelta(hours=1)]
    assert spans_of(later) == [(ms - 5_000, ms + 80_000), (ms + 3_595_000, ms + 3_660_000)]
