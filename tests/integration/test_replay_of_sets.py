"""Raw records are replayed only in a set of topics whose dedupe reads them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer

from schemas.topics import Names
from storage.kafka.client import reader_config
from storage.postgres.repair_plans import ReadByNobody, RepairChoice, RepairRequest
from storage.postgres.repairs import Repairs
from streams.repair.applying import RepairWork
from tests.integration.commands import Commands
from tests.integration.replays import produce
from tests.integration.test_redo import ACME, with_work
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
        assert "nothing would read what is written" in refused
        assert f"SENSORIUM_NAMESPACE={further.namespace} " in refused
        assert commands.json(*words, "--dry-run")["records"] == 2
        with dedupe_of(commands, commands.names):
            assert commands.json(*words)["records"] == 2
    assert commands.json(*words)["records"] == 4  # no dedupe runs: one that ended comes back


def planned(commands: Commands) -> str:
    """A plan, made as the console makes it."""

    async def ask(work: RepairWork, repairs: Repairs) -> str:
        choice = RepairChoice(spans=("0:0-1",))
        return await work.plan(RepairRequest(ACME, "raw", choice, "ana"))

    return str(with_work(commands, ask))


def test_a_console_plans_no_replay_into_a_set_that_nobody_reads(commands: Commands) -> None:
    further = Names(f"{commands.settings.namespace}.2")
    make_topics(commands.settings.kafka, further)
    produce(commands, 2)
    assert planned(commands)  # no dedupe runs: one that ended comes back
    with dedupe_of(commands, further):
        with pytest.raises(ReadByNobody) as refused:
            planned(commands)
        assert (refused.value.own, refused.value.instead) == (
            commands.names.namespace,
            further.namespace,
        )
        with dedupe_of(commands, commands.names):
            assert planned(commands)
