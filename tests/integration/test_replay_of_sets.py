"""Raw records are replayed only in a set of topics whose dedupe reads them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer

from schemas.topics import Names
from storage.kafka.client import reader_config
from tests.integration.commands import Commands
from tests.integration.test_commands_replay import produce
from tests.topics import make_topics

SECONDS = 60.0


@contextmanager
def dedupe_of(commands: Commands, names: Names) -> Iterator[None]:
    """A member of the group of dedupe."""
    consumer = Consumer(reader_config(commands.settings.kafka, names.group("dedupe")))
    consumer.subscribe([names.topic("raw-messages")])
    deadline = time.monotonic() + SECONDS
    try:
        while not consumer.assignment():
            assert time.monotonic() < deadline, "the group has no member"
            consumer.poll(0.1)
        yield
    finally:
        consumer.close()


def test_a_replay_into_a_set_that_nobody_reads_is_refused(commands: Commands) -> None:
    further = Names(f"{commands.settings.namespace}.2")
    make_topics(commands.settings.kafka, further)
    produce(commands, 2)
    words = ("replay", "raw", "--since", "2026-01-01")
    with dedupe_of(commands, further):
        refused = commands.fails(*words)
        assert "would be read by nobody" in refused
        assert f"SENSORIUM_NAMESPACE={further.namespace} " in refused
        assert commands.json(*words, "--dry-run")["records"] == 2
        with dedupe_of(commands, commands.names):
            assert commands.json(*words)["records"] == 2
    assert commands.json(*words)["records"] == 4  # no dedupe runs: one that ended comes back
