"""`tail` shows messages as they come, and `trace` shows one message with its steps."""

import json

import msgspec
import pytest
from confluent_kafka import Producer

from schemas.codec import encode
from schemas.records import Attachment, Step
from storage.kafka.client import plain_producer_config
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.unit.records import NOW


@pytest.fixture
def commands(tables: Commands) -> Commands:
    """A namespace with tables and without topics."""
    return tables


def test_tail_shows_what_there_is_and_of_one_tenant_only_that(commands: Commands) -> None:
    commands.make_topics()
    commands.json("tenants", "add", "acme")
    producer = Producer(plain_producer_config(commands.settings.kafka))
    topic = commands.names.topic("enriched-messages")
    producer.produce(topic, b"no record", b"k", 0)
    for number, tenant in enumerate(("acme", "other", "acme")):
        message = row(str(number), tenant=tenant, content=f"hola {number}")
        producer.produce(topic, encode(message), message.message_key.encode(), 0)
    assert producer.flush(10) == 0
    result = commands.run("tail", "--from-beginning", "--count", "2", "--tenant", "acme", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["tenant_id"], line["content"]) for line in lines] == [
        ("acme", "hola 0"),
        ("acme", "hola 2"),
    ]
    assert "[0]@0: " in result.stderr
    assert (
        " v1 complete text: hola 1"
        in commands.run("tail", "--from-beginning", "--count", "3").stdout
    )


def test_tail_ends_at_the_end_and_says_why_a_message_is_degraded(commands: Commands) -> None:
    commands.make_topics()
    assert commands.run("tail", "--until-end").stdout == ""
    producer = Producer(
        plain_producer_config(commands.settings.kafka)
        | {"transactional.id": commands.names.topic("test-tail")}
    )
    producer.init_transactions(20)
    topic = commands.names.topic("enriched-messages")
    failed = Attachment(index=1, type="image", status="failed", reason="media_gone")
    for number, (conversation, more) in enumerate(
        (("c1", ()), ("c2", (failed,)), ("c1", ())), start=1
    ):
        message = row(str(number), *more, conversation_id=conversation, content=f"hola {number}")
        producer.begin_transaction()
        producer.produce(topic, encode(message), message.message_key.encode(), number % 2)
        producer.produce(topic, None, b"deleted", number % 2)
        producer.commit_transaction(20)
    everything = commands.run("tail", "--until-end").stdout.splitlines()
    assert sorted(line.rpartition(": ")[2] for line in everything) == ["hola 1", "hola 2", "hola 3"]
    (degraded,) = [line for line in everything if "hola 2" in line]
    assert " v1 degraded (image media_gone) image: hola 2" in degraded
    of_one = commands.run("tail", "--until-end", "--conversation", "c1", "--json").stdout
    assert {json.loads(line)["content"] for line in of_one.splitlines()} == {"hola 1", "hola 3"}


def test_tail_refuses_a_tenant_that_does_not_exist_instead_of_waiting(commands: Commands) -> None:
    assert "there is no tenant 'nobody'" in commands.fails("tail", "--tenant", "nobody")


def test_tail_without_topics_says_how_to_make_them(commands: Commands) -> None:
    result = commands.run("tail")
    assert (result.exit_code, "sensorium topics apply" in result.stderr) == (1, True)


def test_trace_shows_a_message_and_its_steps(commands: Commands) -> None:
    steps = (
        Step(
            stage="dedupe",
            outcome="forwarded",
            topic="raw-messages",
            partition=3,
            offset=41,
            at=NOW,
        ),
        Step(
            stage="store_media",
            outcome="failed:media_gone",
            topic="media",
            partition=1,
            offset=7,
            at=NOW.replace(minute=6),
        ),
    )
    store(
        commands,
        row(
            "7/55",
            Attachment(index=0, type="image", status="failed", reason="media_gone"),
            steps=steps,
        ),
    )
    document = commands.json("trace", key_of("7/55"))
    assert (document["message"]["status"], document["message"]["version"]) == ("degraded", 1)
    assert document["steps"] == [
        {**msgspec.to_builtins(step), "at": step.at.isoformat()} for step in steps
    ]
    text = commands.run("trace", key_of("7/55")).stdout
    assert (
        "degraded, version 1" in text
        and "failed:media_gone" in text
        and "raw-messages[3]@41" in text
    )


def test_trace_of_a_message_without_a_row_says_where_else_to_look(commands: Commands) -> None:
    assert "there is no tenant 'acme'" in commands.fails("trace", key_of("nothing"))
    commands.json("tenants", "add", "acme")
    message = commands.fails("trace", key_of("nothing"))
    assert "sensorium status" in message and "sensorium quarantine list" in message
