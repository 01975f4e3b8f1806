"""The examples of docs/extending.md work as they are printed: a command, a topic and a stage."""

import json
import sys
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.codec import decode
from schemas.outcomes import Forward, Skip
from schemas.pipeline import SOURCE_OF
from schemas.records import EnrichedMessage
from schemas.settings import Kafka
from schemas.topics import Names
from streams.apps.encoding import Encoding
from streams.commands.main import COMMANDS, main
from streams.lanes.transactions import (
    LaneIdentity,
    PartitionTransactions,
    Transaction,
    UndeclaredOutput,
    Write,
)
from tests.page_examples import examples_of, with_row
from tests.unit.records import TRACEPARENT, message

STAGE_ROWS = "PIPELINE_STAGES: tuple[BatchStage | QueueStage, ...] = (\n"
TOPIC_ROWS = "    for t in (\n"


def executed(code: str, name: str) -> ModuleType:
    """A module of this name and text, which nobody else can import."""
    module = ModuleType(name)
    exec(compile(code, f"{name}, as docs/extending.md has it", "exec"), module.__dict__)
    return module


def test_a_section_gives_its_own_blocks_and_a_page_without_it_is_an_error() -> None:
    page = (
        "# X\n\n## A\n\n```python\none\n```\n\n```sql\ntwo\n```\n\n## B\n\n```python\nthree\n```\n"
    )
    assert examples_of("A", page) == ["one\n", "two\n"]
    with pytest.raises(AssertionError, match="no section 'C'"):
        examples_of("C", page)


def test_the_command_prints_lines_or_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    code, line = examples_of("A command")
    ((name, place),) = eval(f"{{{line}}}").items()
    module = executed(code, place.partition(":")[0])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, name, place)
    lines = CliRunner().invoke(main, [name])
    assert (lines.exit_code, lines.output.splitlines()[0]) == (0, "dedupe reads raw-messages")
    document = CliRunner().invoke(main, [name, "--json"])
    assert json.loads(document.output) == {"stages": SOURCE_OF}


def test_the_topic_has_a_name_in_each_namespace_and_a_configuration() -> None:
    (row,) = examples_of("A topic")
    topics = executed(with_row("schemas/topics.py", TOPIC_ROWS, row), "schemas.topics")
    assert "blue-alerts" in topics.Names("blue").topics
    config = topics.topic_config(topics.TOPICS["alerts"], Kafka())
    assert (config["cleanup.policy"], config["retention.ms"]) == ("delete", str(7 * 86_400_000))


def test_the_stage_stands_in_the_flow_and_its_lane_keeps_to_its_row() -> None:
    row, _ = examples_of("A stage")
    pipeline = executed(with_row("schemas/pipeline.py", STAGE_ROWS, row), "schemas.pipeline")
    assert pipeline.writers_of("alerts") == ("alert",)
    assert "alert" in pipeline.readers_of("enriched-messages")
    outputs = pipeline.WRITES_OF["alert"]
    assert outputs == {"alerts", "quarantine", "receipts"}
    identity: Any = LaneIdentity(
        "alert",  # type: ignore[arg-type]
        "group",
        "enriched-messages",
        "log",
        "receipts",
        0,
        outputs,
        Names(),
    )
    stray = Transaction(writes=[Write("media", b"k", b"v", -1, [])])
    with pytest.raises(UndeclaredOutput, match="alert does not declare media"):
        PartitionTransactions(Kafka(), identity).commit(stray)


@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        ({"content": "I want to talk to a person"}, True),
        ({"content": "Thank you"}, False),
        ({"content": None}, False),
        ({"content": "You are talking to a person", "role": "agent"}, False),
    ],
)
def test_the_stage_forwards_what_is_asked_for_as_a_record_of_the_topic(
    fields: dict[str, Any], asks: bool
) -> None:
    _, function = examples_of("A stage")
    given = message(**fields)
    outcome = executed(function, "streams.stages.alert").alert(given)
    if not asks:
        assert isinstance(outcome, Skip)
        return
    assert isinstance(outcome, Forward)
    (output,) = outcome.outputs
    write = Encoding(Names("blue"), 4).write(output, TRACEPARENT)
    assert (write.topic, write.key) == ("blue-alerts", given.message_key.encode())
    assert decode(EnrichedMessage, write.value) == given
