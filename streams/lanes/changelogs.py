"""Topic configuration of the changelogs of lane tables."""

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
