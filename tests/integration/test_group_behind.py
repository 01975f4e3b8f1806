import asyncio
import json
from collections.abc import Iterable
from http.client import HTTPConnection
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from storage.kafka.client import plain_producer_config, reader_config
from storage.kafka.lag import GroupBehind
from tests.integration.commands import Commands
from tests.integration.receivers import receiving, unused_port
from tests.integration.test_credentials_end import CHAT
from tests.integration.waiting import until


def test_what_a_group_has_not_read_is_measured_in_its_own_pace(
    commands: Commands,
) -> None:
    kafka, topic = commands.settings.kafka, commands.names.topic("raw-messages")
    group = commands.names.group("dedupe")
    producer = Producer(plain_producer_config(kafka))
    for number in range(100):
        producer.produce(topic, b"x", b"key", number % 2)
    assert producer.flush(30) == 0
    member = Consumer(reader_config(kafka, group))

    def done(*offsets: int) -> None:
        places = [TopicPartition(topic, p, offset) for p, offset in enumerate(offsets)]
        member.commit(offsets=places, asynchronous=False)

    behind = GroupBehind(kafka, group, topic)
    try:
        assert (behind.records(), behind.seconds()) == ((0, 0), 0.0)
        done(0, 0)
        assert behind.records() == (0, 100)
        done(20, 20)
        assert behind.records() == (40, 60) and behind.seconds() > 0
        done(50, 50)
        assert (behind.records(), behind.seconds()) == ((100, 0), 0.0)
    finally:
        member.close()


def test_a_receiver_slows_a_bulk_import_down_and_takes_the_next_message(
    commands: Commands, tmp_path: Path
) -> None:
    commands.json("tenants", "add", "acme")
    key = commands.json("keys", "add", "acme", "--scope", "chat")["key"]
    receiver_settings = msgspec.structs.replace(
        commands.settings.receiver, port=unused_port(), bulk_behind_seconds=0.2
    )
    settings = msgspec.structs.replace(commands.settings, receiver=receiver_settings)

    async def statuses(url: str, count: int) -> list[int]:
        """The statuses of many posts over eight connections.

        A client that uses more CPU than the receiver would be too slow for a burst.
        """
        portions = [asyncio.to_thread(post, url, range(n, count, 8)) for n in range(min(8, count))]
        return [status for several in await asyncio.gather(*portions) for status in several]

    def post(url: str, numbers: Iterable[int]) -> list[int]:
        connection, answers = HTTPConnection(url.removeprefix("http://"), timeout=60), []
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        for number in numbers:
            body = json.dumps(CHAT | {"provider_message_id": f"{number}"})
            connection.request("POST", "/chat", body, headers)
            answer = connection.getresponse()
            answer.read()
            answers.append(answer.status)
        connection.close()
        return answers

    async def work() -> None:
        with receiving(settings, tmp_path) as receiver:
            await receiver.wait_ready()
            await until(lambda: knows(receiver.url))
            first = await statuses(receiver.url, 800)
            assert set(first) == {202, 429}, "a burst beyond what a tenant begins with"
            await until(lambda: knows(receiver.url), 60, "the next one has room again")
            assert await receiver.answers("/readyz", 200)

    async def knows(url: str) -> bool:
        return await statuses(url, 1) == [202]

    asyncio.run(work())
