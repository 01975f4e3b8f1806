"""The topics: record type, key, partitioning and retention of each, in one place."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from schemas.pipeline import TABLE_OF, Stage, TopicName
from schemas.settings import Kafka

DAY_MS = 86_400_000

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""Every topic's `max.message.bytes` and every producer's `message.max.bytes`."""
MAX_WRITE_BYTES = MAX_RECORD_BYTES - 16 * 1024
"""The limit for value, key and headers of one write.

The remaining bytes are for Kafka's own framing, as a broker refuses the whole batch.
"""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `record` is the Avro record of its values.

    schemas/pipeline.py says which stages and roles write and read it.
    """

    name: TopicName
    record: str
    key: str
    partitioned_by: Literal["key", "conversation", "source"]
    cleanup: Literal["delete", "compact"]
    retention_ms: int


TOPICS: dict[TopicName, Topic] = {
    t.name: t
    for t in (
        Topic(
            "raw-messages",
            record="RawMessage",
            key="message key or event id",
            partitioned_by="key",
            cleanup="delete",
            retention_ms=7 * DAY_MS,
        ),
        Topic(
            "media",
            record="MediaJob",
            key="message key",
            partitioned_by="key",
            cleanup="delete",
            retention_ms=7 * DAY_MS,
        ),
        Topic(
            "vision",
            record="VisionJob",
            key="message key",
            partitioned_by="key",
            cleanup="delete",
            retention_ms=7 * DAY_MS,
        ),
        Topic(
            "audio",
            record="AudioJob",
            key="message key",
            partitioned_by="key",
            cleanup="delete",
            retention_ms=7 * DAY_MS,
        ),
        Topic(
            "enrichments",
            record="Enrichment",
            key="message key",
            partitioned_by="key",
            cleanup="delete",
            retention_ms=7 * DAY_MS,
        ),
        Topic(
            "enriched-messages",
            record="EnrichedMessage",
            key="message key",
            partitioned_by="conversation",
            cleanup="compact",
            retention_ms=0,
        ),
        Topic(
            "quarantine",
            record="Quarantined",
            key="key of the record that failed",
            partitioned_by="key",
            cleanup="delete",
            retention_ms=30 * DAY_MS,
        ),
        Topic(
            "receipts",
            record="Receipt",
            key="stage:partition",
            partitioned_by="source",
            cleanup="delete",
            retention_ms=8 * DAY_MS,
        ),
    )
}

HORIZON_MS = 8 * DAY_MS
"""The horizon: how long dedupe remembers a key.

It is at least the retention of raw-messages plus one day. It is also the
`min.compaction.lag.ms` of enriched-messages.
"""

TOMBSTONE_MS = 30 * DAY_MS
"""The time for which enriched-messages keeps a tombstone after compaction.

A reader or a restored database that is further behind misses deletions.
"""


def retention_ms(topic: Topic, settings: Kafka) -> int:
    """The retention of a topic in milliseconds.

    For two topics the settings decide it.
    """
    days = {
        "raw-messages": settings.raw_retention_days,
        "quarantine": settings.quarantine_retention_days,
    }
    return int(days[topic.name] * DAY_MS) if topic.name in days else topic.retention_ms


def topic_config(topic: Topic, settings: Kafka) -> dict[str, str]:
    """The Kafka configuration of the topic, as `topics apply` sets it."""
    config = {
        "cleanup.policy": topic.cleanup,
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "min.insync.replicas": str(settings.min_insync_replicas),
    }
    if topic.cleanup == "compact":
        config["min.compaction.lag.ms"] = str(HORIZON_MS)
        config["delete.retention.ms"] = str(TOMBSTONE_MS)
    else:
        config["retention.ms"] = str(retention_ms(topic, settings))
    return config


def claims_config(settings: Kafka) -> dict[str, str]:
    """Configuration of the changelog of dedupe's claims (docs/decisions/0041).

    Compaction removes tails whose claims a block repeats, so small segments keep a load
    short. The age of a segment is that of its newest record, so small ones are also
    deleted soon after the horizon.
    """
    return {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(HORIZON_MS),
        "segment.bytes": str(16 * 1024 * 1024),
        "segment.ms": "300000",
        "min.cleanable.dirty.ratio": "0.1",
        "delete.retention.ms": "600000",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "min.insync.replicas": str(settings.min_insync_replicas),
    }


UNNAMED = "sensorium"
"""The name of the pipeline with the empty namespace, where it needs one."""


@cache
def _topic_name(namespace: str, name: TopicName) -> str:
    return f"{Names(namespace).prefix}{name}"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of topics, groups, schemas and prefixes in a namespace.

    Two installations with different namespaces can share the same servers. `name.set`
    is a further set of topics of the pipeline `name`, and `sensorium.set` one of the
    pipeline without a name: topics, groups and transactional ids are the set's own, but
    rows, tenants and files are the pipeline's.
    """

    namespace: str = ""

    @property
    def pipeline(self) -> str:
        """The namespace without its set of topics."""
        name, _, further = self.namespace.partition(".")
        return "" if further and name == UNNAMED else name

    @property
    def is_further_set(self) -> bool:
        return "." in self.namespace

    @property
    def prefix(self) -> str:
        return f"{self.namespace}-" if self.namespace else ""

    def topic(self, name: TopicName) -> str:
        return _topic_name(self.namespace, name)

    @property
    def topics(self) -> list[str]:
        """Every topic of the set."""
        return [self.topic(name) for name in TOPICS]

    def group(self, stage: str) -> str:
        """The consumer group of a stage or of the sink; it is also Faust's app id."""
        return f"{self.prefix}sensorium-{stage.replace('_', '-')}"

    def logical(self, topic: str) -> str:
        """The topic's name without the namespace."""
        return topic.removeprefix(self.prefix)

    @property
    def postgres_schema(self) -> str:
        return self.pipeline.replace("-", "_") or UNNAMED

    @property
    def object_prefix(self) -> str:
        return f"{self.pipeline}/" if self.pipeline else ""


def changelog_of(names: Names, stage: Stage) -> str:
    """The changelog of a stage's table, as Faust names it."""
    return f"{names.group(stage)}-{TABLE_OF[stage]}-changelog"


def claims_changelog(names: Names) -> str:
    """The changelog of dedupe's claims."""
    return changelog_of(names, "dedupe")
