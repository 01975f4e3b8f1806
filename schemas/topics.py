"""The topics: name, owner, key, schema, retention. One place."""

from dataclasses import dataclass
from typing import Literal

from schemas.pipeline import SOURCE_OF, Stage, TopicName
from schemas.settings import Kafka

DAY_MS = 86_400_000

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""Every topic's `max.message.bytes` and every producer's `message.max.bytes`."""


@dataclass(frozen=True, slots=True)
class Topic:
    """`record` is the Avro record of its values.

    Who writes and reads it: schemas/pipeline.py.
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
            "RawMessage",
            "message key or event id",
            "key",
            "delete",
            7 * DAY_MS,
        ),
        Topic(
            "media",
            "MediaJob",
            "message key",
            "key",
            "delete",
            7 * DAY_MS,
        ),
        Topic(
            "vision",
            "VisionJob",
            "message key",
            "key",
            "delete",
            7 * DAY_MS,
        ),
        Topic(
            "audio",
            "AudioJob",
            "message key",
            "key",
            "delete",
            7 * DAY_MS,
        ),
        Topic(
            "enrichments",
            "Enrichment",
            "message key",
            "key",
            "delete",
            7 * DAY_MS,
        ),
        Topic(
            "enriched-messages",
            "EnrichedMessage",
            "message key",
            "conversation",
            "compact",
            0,
        ),
        Topic(
            "quarantine",
            "Quarantined",
            "key of the record that failed",
            "key",
            "delete",
            30 * DAY_MS,
        ),
        Topic(
            "receipts",
            "Receipt",
            "stage:partition",
            "source",
            "delete",
            8 * DAY_MS,
        ),
    )
}

HORIZON_MS = 8 * DAY_MS
"""How long a key is remembered by dedupe, and `min.compaction.lag.ms`
of enriched-messages: raw retention + 1 day at least.
"""

TOMBSTONE_MS = 30 * DAY_MS
"""How long enriched-messages keeps a tombstone after its compaction: a
reader, or a restored database, that is further behind misses deletions.
"""


def retention_ms(topic: Topic, settings: Kafka) -> int:
    """How long a topic keeps its records: the settings say it for two of them."""
    days = {
        "raw-messages": settings.raw_retention_days,
        "quarantine": settings.quarantine_retention_days,
    }
    return int(days[topic.name] * DAY_MS) if topic.name in days else topic.retention_ms


def topic_config(topic: Topic, settings: Kafka) -> dict[str, str]:
    """Kafka topic configuration as `topics apply` sets it."""
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

    Compaction removes what a block holds again, so small segments keep a load short. The age
    of a segment is that of its newest record, so small ones also end soon after the horizon.
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


@dataclass(frozen=True, slots=True)
class Names:
    """Names of topics, groups, schemas and prefixes under
    a namespace: two pipelines can stand side by side.
    """

    namespace: str = ""

    @property
    def prefix(self) -> str:
        return f"{self.namespace}-" if self.namespace else ""

    def topic(self, name: TopicName) -> str:
        return f"{self.prefix}{name}"

    def group(self, stage: str) -> str:
        """Consumer group of a stage or the sink; also Faust's app id."""
        return f"{self.prefix}sensorium-{stage.replace('_', '-')}"

    @property
    def claims_changelog(self) -> str:
        """The changelog of dedupe's table, as Faust names it."""
        return f"{self.group('dedupe')}-claimed-changelog"

    def transactional_id(self, stage: Stage, partition: int) -> str:
        return f"{self.group(stage)}-{SOURCE_OF[stage]}-{partition}"

    def logical(self, topic: str) -> str:
        """The topic's name without the namespace."""
        return topic.removeprefix(self.prefix)

    @property
    def postgres_schema(self) -> str:
        return self.namespace.replace("-", "_") or "sensorium"

    @property
    def object_prefix(self) -> str:
        return f"{self.namespace}/" if self.namespace else ""
