"""The declared flow is complete, and a lane follows it."""

import re
from typing import get_args

import pytest

from connectors.postgres.decoding import SINK_TOPICS
from schemas.pipeline import (
    PIPELINE_STAGES,
    READS_OF,
    REPLAYABLE,
    ROLE_WRITES,
    TOPIC_NAMES,
    Stage,
    readers_of,
    writers_of,
)
from schemas.settings import Kafka
from schemas.topics import Names
from storage.postgres.sql import QUERIES_DIR
from streams.lanes.transactions import (
    LaneIdentity,
    PartitionTransactions,
    Transaction,
    UndeclaredOutput,
    Write,
)


def test_every_stage_is_declared_once() -> None:
    assert tuple(stage.name for stage in PIPELINE_STAGES) == get_args(Stage)


@pytest.mark.parametrize("topic", TOPIC_NAMES)
def test_every_topic_has_a_writer_and_a_reader(topic: str) -> None:
    assert writers_of(topic) and readers_of(topic)  # type: ignore[arg-type]


def test_receive_is_the_only_live_writer_of_raw_messages() -> None:
    repairs = ("console", "replay", "quarantine replay")
    assert writers_of("raw-messages") == ("receive", *repairs)


def test_what_a_role_writes_besides_a_producer_of_its_own_is_declared() -> None:
    assert ROLE_WRITES["quarantine replay"] == ("raw-messages", "enrichments", "enriched-messages")
    assert set(ROLE_WRITES["console"]) == {
        *ROLE_WRITES["replay"],
        *ROLE_WRITES["quarantine replay"],
    }


def test_the_statements_name_the_same_replayable_records() -> None:
    """SQL cannot import the declaration, so it repeats it."""
    pairs = {
        pair
        for file in QUERIES_DIR.glob("*.sql")
        for pairs in re.findall(
            r"stage, \w*\.?topic\) IN \(((?:\('\w+', '[a-z-]+'\),? ?)+)\)", file.read_text()
        )
        for pair in [tuple(re.findall(r"\('(\w+)', '([a-z-]+)'\)", pairs))]
    }
    assert pairs == {tuple(REPLAYABLE.items())}


def test_the_sink_decodes_what_it_is_declared_to_read() -> None:
    assert tuple(SINK_TOPICS) == READS_OF["sink"]


def test_a_lane_refuses_a_topic_that_its_stage_does_not_declare() -> None:
    outputs = frozenset({"enrichments", "receipts"})
    identity = LaneIdentity("describe", "group", "vision", "log", "receipts", 0, outputs, Names())
    transactions = PartitionTransactions(Kafka(), identity)
    stray = Transaction(writes=[Write("media", b"k", b"v", -1, [])])
    with pytest.raises(UndeclaredOutput, match="describe does not declare media"):
        transactions.commit(stray)
