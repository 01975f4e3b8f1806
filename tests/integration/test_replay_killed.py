"""A replay during live traffic delays no reader while it reads, and only shortly if it dies."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from confluent_kafka import Consumer, Producer, TopicPartition

from storage.kafka.client import plain_producer_config, reader_config
from streams.lanes.transactions import Write
from streams.repair.writing import Item, committed_portions
from streams.settings import to_environment
from tests.integration.commands import Commands

LONGEST_DELAY_SECONDS = 30.0
"""The limit on a busy machine too.

With the client's usual time-out of a transaction, readers would wait for a minute.
"""
PROGRAM = """
import sys
from schemas.topics import Names
from streams.lanes.transactions import Write
from streams.repair.writing import Item, committed_portions
from streams.settings import read_settings

settings = read_settings()
write = Write(sys.argv[1], b"k", b"replayed", 0, [])
list(committed_portions(settings.kafka, Names(settings.namespace), [Item([write], 0)]))
"""


class Live:
    """The live topic, written and read as the pipeline does."""

    def __init__(self, commands: Commands) -> None:
        self.topic = commands.names.topic("raw-messages")
        self._producer = Producer(plain_producer_config(commands.settings.kafka))
        self._consumer = Consumer(
            reader_config(commands.settings.kafka, "live") | {"fetch.wait.max.ms": 20}
        )
        self._consumer.assign([TopicPartition(self.topic, 0, 0)])

    def write(self, value: bytes) -> None:
        self._producer.produce(self.topic, value, b"live", 0)
        assert self._producer.flush(30) == 0

    def seconds_until(self, value: bytes, at_most: float) -> float:
        """How long a read_committed reader waits for the record. Everything before it comes first."""
        began = time.monotonic()
        while time.monotonic() - began < at_most:
            for message in self._consumer.consume(100, 0.05):
                assert message.value() != b"replayed"
                if message.error() is None and message.value() == value:
                    return time.monotonic() - began
        raise AssertionError(f"{value!r} was not seen within {at_most:g} s")

    def close(self) -> None:
        self._consumer.close()


def test_a_replay_that_is_killed_in_mid_transaction_delays_live_readers_by_seconds(
    commands: Commands,
) -> None:
    live = Live(commands)
    live.write(b"before")
    live.seconds_until(b"before", 40)
    environment = {
        **os.environ,
        **to_environment(commands.settings, {"kafka", "namespace"}),
        "SENSORIUM_FAILPOINT": "replay_before_commit:1",
    }
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, live.topic], env=environment, check=False
    )
    assert killed.returncode == -9
    live.write(b"after")
    assert live.seconds_until(b"after", LONGEST_DELAY_SECONDS) < LONGEST_DELAY_SECONDS
    live.close()


def test_a_replay_that_waits_for_what_it_reads_has_no_transaction_open(commands: Commands) -> None:
    live = Live(commands)
    waits: list[float] = []

    def slow() -> Iterator[Item[int]]:
        """A slow source. It yields the next record when live readers have seen another one."""
        for number in range(3):
            yield Item([Write(live.topic, b"k", b"copy", 1, [])], number)
            yield Item([Write(live.topic, b"k", b"copy", 0, [])], number)
            live.write(b"live %d" % number)
            waits.append(live.seconds_until(b"live %d" % number, LONGEST_DELAY_SECONDS))

    portions = list(committed_portions(commands.settings.kafka, commands.names, slow()))
    assert (sum(one.records for one in portions), len(waits)) == (6, 3)
    live.close()


def test_the_watcher_of_a_command_that_ends_well_fences_nobody(commands: Commands) -> None:
    topic = commands.names.topic("raw-messages")
    write = Write(topic, b"k", b"copy", 0, [])
    for _ in range(2):
        (portion,) = committed_portions(commands.settings.kafka, commands.names, [Item([write], 1)])
        assert portion.records == 1
