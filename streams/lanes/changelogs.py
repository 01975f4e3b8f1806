"""Topic configuration of the changelogs of lane tables."""

from schemas.settings import Kafka
from schemas.topics import DAY_MS, HORIZON_MS, MAX_RECORD_BYTES, Names

COMPACTED = {
    # The active segment is never cleaned, so its
    # size rules the time a lane needs to open.
    "cleanup.policy": "compact",
    "segment.bytes": str(16 * 1024 * 1024),
    "segment.ms": "300000",
    "min.cleanable.dirty.ratio": "0.1",
    # Longer than any load: a tombstone that vanished
    # under a loader would make a finished job run again.
    "delete.retention.ms": "600000",
}

CLAIMS_TABLE = "claimed"


def claims_changelog(names: Names) -> str:
    """The changelog of dedupe's table, as Faust names it."""
    return f"{names.group('dedupe')}-{CLAIMS_TABLE}-changelog"


def claims_config(kafka: Kafka) -> dict[str, str]:
    """Bounded by time: a claim is added once, and forgotten after the horizon."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(HORIZON_MS),
        "segment.ms": str(DAY_MS),
        "min.insync.replicas": str(kafka.min_insync_replicas),
        "max.message.bytes": str(MAX_RECORD_BYTES),
    }
