"""The declared flow is whole, and a lane keeps to it."""

import re
from pathlib import Path
from typing import get_args

import pytest

from connectors.postgres.decoding import SINK_TOPICS
from schemas.pipeline import (
    PIPELINE_STAGES,
    READS_OF,
    ROLES,
    TOPIC_NAMES,
    WRITES_OF,
    Stage,
    readers_of,
    writers_of,
)
from schemas.settings import Kafka
from schemas.topics import Names
from streams.lanes.transactions import (
    LaneIdentity,
    PartitionTransactions,
    Transaction,
    UndeclaredOutput,
    Write,
)

STAGES_DIR = Path(__file__).parents[2] / "streams" / "stages"
CODE_OF: dict[Stage, tuple[str, ...]] = {
    "dedupe": ("dedupe.py", "message.py"),
    "store_media": ("store_media.py",),
    "describe": ("describe.py", "model_jobs.py"),
    "transcribe": ("transcribe.py", "model_jobs.py"),
    "assemble": ("assemble.py", "../apps/assemble.py"),
}


def test_every_stage_is_declared_once() -> None:
    assert tuple(stage.name for stage in PIPELINE_STAGES) == get_args(Stage)


@pytest.mark.parametrize("topic", TOPIC_NAMES)
def test_every_topic_has_a_writer_and_a_reader(topic: str) -> None:
    assert writers_of(topic) and readers_of(topic)  # type: ignore[arg-type]


def test_receive_is_the_only_live_writer_of_raw_messages() -> None:
    assert writers_of("raw-messages") == ("receive", "replay")
    assert {role.name for role in ROLES if "raw-messages" in role.writes} == {"receive", "replay"}


@pytest.mark.parametrize("stage", get_args(Stage))
def test_a_stage_declares_every_topic_that_its_code_names_as_an_output(stage: Stage) -> None:
    named = {
        topic
        for file in CODE_OF[stage]
        for topic in re.findall(r'Output\(\s*"([a-z-]+)"', (STAGES_DIR / file).read_text())
    }
    assert named and named <= WRITES_OF[stage]


def test_the_sink_decodes_what_it_is_declared_to_read() -> None:
    assert tuple(SINK_TOPICS) == READS_OF["sink"]


def test_a_lane_refuses_a_topic_that_its_stage_does_not_declare() -> None:
    outputs = frozenset({"enrichments", "receipts"})
    identity = LaneIdentity("describe", "group", "vision", "log", "receipts", 0, outputs, Names())
    transactions = PartitionTransactions(Kafka(), identity)
    stray = Transaction(writes=[Write("media", b"k", b"v", -1, [])])
    with pytest.raises(UndeclaredOutput, match="describe does not declare media"):
        transactions.commit(stray)
