"""Tools whose SENSORIUM_KAFKA__PARTITIONS differs from the topics must not use only a part of them."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from connectors.console.accepted import Accepted
from connectors.console.queries import ConsoleQueries
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.counts import WrongCounts
from storage.kafka.reading import TopicReader
from storage.postgres.repair_plans import RepairChoice, RepairError, RepairRequest
from storage.postgres.repairs import Repairs
from storage.waiting import Deadline
from streams.lanes.counts import PartitionCounts
from streams.repair.applying import RepairWork
from streams.repair.redo import KafkaRedo
from streams.roles.other_roles import other_roles_of
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.integration.databases import pooled, schema
from tests.integration.replays import again, failed, produce, set_aside
from tests.integration.test_redo import begun
from tests.topics import make_topic, make_topics

COMMANDS = [
    ("audit",),
    ("queue",),
    ("sweep",),
    ("replay", "raw", "--offsets", "0:0-1"),
    ("replay", "raw", "--since", "2026-01-01", "--dry-run"),
    ("replay", "attachments", "--reason", "media_not_found"),
    ("quarantine", "replay", "--all", "--wait-seconds", "0"),
    ("erase", "message", key_of("1"), "--yes"),
    ("tenants", "remove", "acme", "--yes"),
    ("recover", "kafka"),
]


@pytest.fixture
def filled(commands: Commands) -> Commands:
    """Records in partitions that a program with two of the four would not see."""
    assert commands.settings.kafka.partitions == 4
    commands.json("tenants", "add", "acme")
    for partition in range(4):
        produce(commands, 2, partition=partition)
    set_aside(commands, 7, value=b"refused")
    store(commands, row("1", failed(0, "media_not_found")))
    commands.more["SENSORIUM_KAFKA__PARTITIONS"] = "2"
    return commands


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_a_command_ends_with_the_words_of_the_roles_and_changes_nothing(
    filled: Commands, words: tuple[str, ...]
) -> None:
    message = filled.fails(*words)
    assert " has 4 partitions, SENSORIUM_KAFKA__PARTITIONS is 2" in message
    assert "Another number of partitions" in message
    filled.more.clear()
    assert again(filled) == []
    assert filled.json("repairs", "list") == {"repairs": []}
    assert filled.json("trace", key_of("1"))["message"]["message_key"] == key_of("1")


def test_a_repair_that_a_console_may_not_write_waits_and_says_why(filled: Commands) -> None:
    filled.more.clear()
    repair_id = begun(filled, "quarantine", RepairChoice())

    async def work() -> None:
        async with pooled(filled.settings.postgres, filled.names) as pool:
            narrow = Narrow(filled.settings, pool)
            held = await narrow.repairs.hold("console", repair_id)
            assert held is not None
            await narrow.work._whole(held)

    asyncio.run(work())
    assert again(filled) == []
    (repair,) = filled.database(lambda one: one.fetch("SELECT trouble, state FROM repairs"))
    assert (repair["trouble"], repair["state"]) == ("wrong_counts", "running")


def test_a_further_set_takes_nothing_over_while_its_own_count_is_another(filled: Commands) -> None:
    further = f"{filled.settings.namespace}.2"
    make_topics(filled.settings.kafka, Names(further))
    filled.more["SENSORIUM_NAMESPACE"] = further
    message = filled.fails("topics", "take-over", "--from", filled.settings.namespace)
    assert f"{further}-raw-messages has 4 partitions, SENSORIUM_KAFKA__PARTITIONS is 2" in message


def test_a_reader_of_a_former_set_sees_all_partitions_and_one_of_the_own_set_refuses(
    stack: Settings, namespace: str
) -> None:
    topic = f"{namespace}-any"
    make_topic(stack.kafka, topic, 3)
    with pytest.raises(WrongCounts, match=f"{topic} has 3 partitions"):
        TopicReader(stack.kafka, "test").ends(topic)
    assert TopicReader(stack.kafka, "test", any_count=True).ends(topic) == {0: 0, 1: 0, 2: 0}


class Narrow:
    """The parts of a console whose setting names two of the four partitions."""

    def __init__(self, settings: Settings, pool: Any) -> None:
        kafka = msgspec.structs.replace(settings.kafka, partitions=2)
        self.settings = msgspec.structs.replace(settings, kafka=kafka)
        self.names = Names(settings.namespace)
        self.pool = pool
        self.repairs = Repairs(pool)
        self.work = RepairWork(self.repairs, KafkaRedo(self.settings, pool))


@pytest.fixture
async def narrow(stack: Settings, namespace: str) -> Any:
    settings = msgspec.structs.replace(stack, namespace=namespace)
    await asyncio.to_thread(make_topics, stack.kafka, Names(namespace))
    async with AsyncExitStack() as held:
        await held.enter_async_context(schema(stack.postgres, Names(namespace)))
        pool = await held.enter_async_context(pooled(stack.postgres, Names(namespace)))
        yield Narrow(settings, pool)


async def test_a_console_that_sees_a_part_of_the_partitions_says_of_no_answer_that_it_is_whole(
    narrow: Narrow,
) -> None:
    counts = PartitionCounts(narrow.settings.kafka, narrow.names.topics)
    reading = ConsoleQueries(narrow.pool)
    accepted = Accepted(narrow.settings.kafka, narrow.names, reading, lambda: counts.trouble)
    await counts.look()
    assert "has 4 partitions" in counts.trouble
    assert not await accepted.is_stored("acme", Deadline(5))  # type: ignore[arg-type]
    counts.wrong = ""
    assert await accepted.is_stored("acme", Deadline(20))  # type: ignore[arg-type]
    await asyncio.to_thread(accepted.close)


async def test_a_console_neither_plans_by_a_part_of_the_partitions_nor_shows_versions_of_it(
    narrow: Narrow,
) -> None:
    raw = RepairRequest("acme", "raw", RepairChoice(spans=("0:0-1",)), "ana")  # type: ignore[arg-type]
    with pytest.raises(RepairError, match=r"repair\.wrong_counts"):
        await narrow.work.plan(raw)
    with pytest.raises(Unavailable, match="kafka"):
        await other_roles_of(narrow.settings).read_versions("acme", "c", key_of("1"), ())
