"""The whole flow on one screen: the stages, and the topics that each reads and writes.

Stage lists, source topics, the readers and writers of each topic, and
docs/reference/topics.md come from here. A lane refuses to write to a topic that its
stage does not declare.
"""

from dataclasses import dataclass
from typing import Literal, get_args

TopicName = Literal[
    "raw-messages",
    "media",
    "vision",
    "audio",
    "enrichments",
    "enriched-messages",
    "quarantine",
    "receipts",
]
TOPIC_NAMES: tuple[TopicName, ...] = get_args(TopicName)

Stage = Literal["dedupe", "store_media", "describe", "transcribe", "assemble"]
STAGES: tuple[Stage, ...] = get_args(Stage)

KEPT_BY_EVERY_STAGE: tuple[TopicName, ...] = ("quarantine", "receipts")
"""Every stage quarantines bad records and writes a receipt with each transaction."""


@dataclass(frozen=True, slots=True)
class BatchStage:
    """A stage that turns a batch of records into outputs in one transaction.

    Its state is in a table.
    """

    name: Stage
    reads: TopicName
    writes: tuple[TopicName, ...]
    table: str


@dataclass(frozen=True, slots=True)
class QueueStage:
    """A stage that admits records as jobs, which take seconds.

    Each job that ends is one transaction.
    """

    name: Stage
    reads: TopicName
    writes: tuple[TopicName, ...]
    table: str = "jobs"


@dataclass(frozen=True, slots=True)
class Role:
    """A process that reads or writes topics without being a stage: a role or a command.

    Only commands that read or write records are listed, not those that look at positions.
    """

    name: str
    reads: tuple[TopicName, ...]
    writes: tuple[TopicName, ...]


PIPELINE_STAGES: tuple[BatchStage | QueueStage, ...] = (
    BatchStage(
        "dedupe",
        reads="raw-messages",
        writes=("enriched-messages", "enrichments", "media"),
        table="claimed",
    ),
    QueueStage("store_media", reads="media", writes=("enrichments", "vision", "audio")),
    QueueStage("describe", reads="vision", writes=("enrichments",)),
    QueueStage("transcribe", reads="audio", writes=("enrichments",)),
    BatchStage("assemble", reads="enrichments", writes=("enriched-messages",), table="open"),
)
REPLAYABLE: dict[str, TopicName] = {
    **{stage.name: stage.reads for stage in PIPELINE_STAGES if isinstance(stage, BatchStage)},
    "sink": "enriched-messages",
}
"""Maps a stage or the sink to the topic to which `quarantine replay` returns its records.

Jobs are left out because their message was closed with failed(quarantined), and `replay
attachments` opens it again. The sink also reads receipts, and a refused receipt must
not be written among messages.
"""
_OF_REPLAY: tuple[TopicName, ...] = ("raw-messages", "enrichments", "media", "vision", "audio")
_TOMBSTONES: tuple[TopicName, ...] = ("enriched-messages",)
ROLES: tuple[Role, ...] = (
    Role("receive", reads=(), writes=("raw-messages",)),
    Role(
        "sink",
        reads=("enriched-messages", "quarantine", "receipts"),
        writes=("quarantine", *_TOMBSTONES),
    ),
    # It shows records, and its pages start the repairs of the next two.
    Role("console", reads=TOPIC_NAMES, writes=(*_OF_REPLAY, "enriched-messages")),
    Role("replay", reads=("raw-messages",), writes=_OF_REPLAY),
    Role("quarantine replay", reads=(), writes=tuple(REPLAYABLE.values())),  # reads Postgres
    Role("recover", reads=(), writes=("enriched-messages",)),  # reads Postgres
    Role("erase", reads=(), writes=_TOMBSTONES),
    Role("tenants remove", reads=(), writes=_TOMBSTONES),
    Role("sweep", reads=("enrichments", "enriched-messages", "quarantine"), writes=()),
    Role("queue", reads=TOPIC_NAMES, writes=()),
    Role("audit", reads=TOPIC_NAMES, writes=()),
    Role("tail", reads=("enriched-messages",), writes=()),
    Role("data teams", reads=("enriched-messages",), writes=()),
)

SOURCE_OF: dict[Stage, TopicName] = {stage.name: stage.reads for stage in PIPELINE_STAGES}
JOB_STAGES: frozenset[Stage] = frozenset(
    stage.name for stage in PIPELINE_STAGES if isinstance(stage, QueueStage)
)
WRITES_OF: dict[Stage, frozenset[TopicName]] = {
    stage.name: frozenset((*stage.writes, *KEPT_BY_EVERY_STAGE)) for stage in PIPELINE_STAGES
}
TABLE_OF: dict[Stage, str] = {stage.name: stage.table for stage in PIPELINE_STAGES}
READS_OF: dict[str, tuple[TopicName, ...]] = {role.name: role.reads for role in ROLES}

ROLE_WRITES: dict[str, tuple[TopicName, ...]] = {role.name: role.writes for role in ROLES}


def writers_of(topic: TopicName) -> tuple[str, ...]:
    """The stages and roles that write to the topic, stages first."""
    stages = (name for name, topics in WRITES_OF.items() if topic in topics)
    return (*stages, *(role.name for role in ROLES if topic in role.writes))


def readers_of(topic: TopicName) -> tuple[str, ...]:
    """The stages and roles that read the topic, stages first."""
    stages = (stage.name for stage in PIPELINE_STAGES if stage.reads == topic)
    return (*stages, *(role.name for role in ROLES if topic in role.reads))
