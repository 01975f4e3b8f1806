"""Topic configuration of the changelogs of lane tables."""

COMPACTED = {
    # Brokers never clean the active segment, so its size decides how long a lane takes to open.
    "cleanup.policy": "compact",
    "segment.bytes": str(16 * 1024 * 1024),
    "segment.ms": "300000",
    "min.cleanable.dirty.ratio": "0.1",
    # Longer than any load takes: if a broker removed a tombstone while a lane loads the
    # changelog, a finished job would run again.
    "delete.retention.ms": "600000",
}
