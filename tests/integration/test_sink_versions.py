"""The sink holds records of a newer program. It neither stores nor quarantines them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client import REGISTRY

from connectors.postgres.sink import Sink
from schemas.codec import encode
from schemas.keys import MessageKey
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import plain_producer_config, reader_config
from streams.settings import to_environment
from tests.integration.databases import Connection, schema
from tests.integration.test_sink_batches import at_work
from tests.integration.waiting import until
from tests.topics import make_topics
from tests.unit.newer import by_the_next_release, next_release
from tests.unit.records import message

UPGRADED = """
from streams.commands.main import main
from tests.unit.newer import next_release

with next_release("EnrichedMessage"):
    main()
"""
SECONDS = 150.0


def said(number: int) -> Any:
    key = MessageKey(f"acme:ycloud:{number}")
    return message(message_key=key, provider_message_id=str(number))


def write(settings: Settings, *values: tuple[bytes, int]) -> None:
    producer = Producer(plain_producer_config(settings.kafka))
    topic = Names(settings.namespace).topic("enriched-messages")
    for value, partition in values:
        producer.produce(topic, value, b"acme:ycloud:1", partition)
    assert producer.flush(30) == 0


def quarantined(settings: Settings) -> int:
    consumer = Consumer(reader_config(settings.kafka, "test-quarantine"))
    topic = Names(settings.namespace).topic("quarantine")
    try:
        return sum(
            consumer.get_watermark_offsets(TopicPartition(topic, p), 20)[1]
            for p in range(settings.kafka.partitions)
        )
    finally:
        consumer.close()


async def rows(database: Connection) -> list[str]:
    found = await database.fetch("SELECT message_key FROM chat_messages ORDER BY message_key")
    return [row["message_key"].rpartition(":")[2] for row in found]


async def test_a_partition_with_a_newer_record_is_held_until_the_upgrade_and_the_others_continue(
    stack: Settings, namespace: str
) -> None:
    settings = msgspec.structs.replace(stack, namespace=namespace)
    names = Names(namespace)
    await asyncio.to_thread(make_topics, settings.kafka, names)
    async with schema(settings.postgres, names) as database:
        one, two, three, four, five = (said(number) for number in range(1, 6))
        write(settings, (encode(one), 0), (by_the_next_release(two), 0), (encode(three), 0))
        write(settings, (encode(four), 1))

        async def stored(*wanted: str) -> bool:
            return await rows(database) == list(wanted)

        async with at_work(settings) as sink:
            await until(lambda: stored("1", "4"), 60)
            await until(lambda: bool(sink.status()["troubles"][-1:]))
            assert "version_unknown" in sink.status()["troubles"][-1]
            sink.refresh_metrics()
            labels = {"stage": "sink", "reason": "version_unknown"}
            assert REGISTRY.get_sample_value("sensorium_stage_partitions_parked", labels) == 1
            write(settings, (encode(five), 1))
            await until(lambda: stored("1", "4", "5"), 60)
            assert not sink.ready
        topic = names.topic("enriched-messages")
        at = await database.fetchval(
            "SELECT next_offset FROM sink_offsets WHERE topic = $1 AND partition = 0", topic
        )
        assert (at, quarantined(settings)) == (1, 0)
        with next_release("EnrichedMessage"):
            async with at_work(settings):
                await until(lambda: stored("1", "2", "3", "4", "5"), 60)
        assert quarantined(settings) == 0


@contextmanager
def upgraded_sink(settings: Settings, log: Path) -> Iterator[None]:
    """The sink of the next release, as a process."""
    plain = {name: one for name, one in os.environ.items() if not name.startswith("SENSORIUM_")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", UPGRADED, "sink"],
            env=plain | to_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(60)


class Traffic:
    """What both releases wrote, by partition: the numbers of the messages in order."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.partitions: dict[int, list[int]] = {p: [] for p in range(settings.kafka.partitions)}
        self.newer: set[int] = set()
        self._next = 1000

    async def write(self, *releases: str) -> None:
        """Writes one message of each of these releases into each partition."""
        values = []
        for release in releases:
            for partition, numbers in self.partitions.items():
                record, number = said(self._next), self._next
                self._next += 1
                is_newer = release == "newer"
                values.append(
                    (by_the_next_release(record) if is_newer else encode(record), partition)
                )
                numbers.append(number)
                self.newer |= {number} if is_newer else set()
        await asyncio.to_thread(write, self.settings, *values)

    async def write_at_once(self) -> None:
        """Writes with both releases at the same time, several messages into each partition."""
        await asyncio.gather(*(self.write(*[release] * 5) for release in ("older", "newer")))

    def readable(self, partitions: Iterable[int]) -> set[str]:
        """The messages that a program of this release stores: all before the first newer record."""
        found: set[str] = set()
        for partition in partitions:
            for number in self.partitions[partition]:
                if number in self.newer:
                    break
                found.add(str(number))
        return found

    def all(self) -> set[str]:
        return {str(number) for numbers in self.partitions.values() for number in numbers}


async def test_two_releases_write_and_read_side_by_side_through_an_upgrade_and_a_rollback(
    stack: Settings, namespace: str, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(stack, namespace=namespace)
    names, traffic = Names(namespace), Traffic(settings)
    await asyncio.to_thread(make_topics, settings.kafka, names)
    async with schema(settings.postgres, names) as database:

        async def stored() -> set[str]:
            return set(await rows(database))

        async def settled(wanted: set[str]) -> bool:
            return await stored() == wanted

        await traffic.write("older", "newer", "older")
        async with at_work(settings) as older:
            held = traffic.readable(traffic.partitions)
            await until(lambda: settled(held), SECONDS, "the older one reads up to the newer")
            with upgraded_sink(settings, tmp_path / "newer.log"):
                await traffic.write_at_once()

                async def shared() -> bool:
                    there = await stored()
                    whole = [
                        {str(number) for number in numbers} <= there
                        for numbers in traffic.partitions.values()
                    ]
                    return any(whole) and not all(whole)

                await until(
                    shared, SECONDS, "the newer one reads its part, the older one holds its"
                )
                assert not older.ready
                older.stop()
                await until(lambda: settled(traffic.all()), SECONDS, "the newer one reads all")
        async with at_work(settings) as older:
            await traffic.write("older")
            stored_then = traffic.all()
            await until(lambda: settled(stored_then), SECONDS, "after a rollback it reads its own")
            await traffic.write("newer", "older")
            troubles = len(traffic.partitions)
            await until(lambda: held_by(older) == troubles, SECONDS, "it holds every partition")
            assert await settled(stored_then)
        with upgraded_sink(settings, tmp_path / "again.log"):
            await until(lambda: settled(traffic.all()), SECONDS, "the next upgrade reads them all")
        assert quarantined(settings) == 0


def held_by(sink: Sink) -> int:
    return sum("version_unknown" in trouble for trouble in sink.status()["troubles"])
