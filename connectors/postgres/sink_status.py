"""What the operations port says about a sink."""

from collections.abc import Iterable, Mapping
from typing import Any

from connectors.postgres.held_partitions import Partition
from schemas.parked import Parked


def status_of(
    missing: Iterable[str],
    refused_topics: Mapping[str, str],
    parked: Mapping[Partition, Parked],
) -> dict[str, Any]:
    """The status for the operations port, in the form of a stage's.

    `missing` are servers that do not answer, `refused_topics` topics that cannot be read,
    with the error.
    """
    parts = [f"{part} does not answer" for part in sorted(missing)]
    topics = [f"{topic}: {error}" for topic, error in sorted(refused_topics.items())]
    partitions = [
        f"partition {topic}[{number}] is parked, {why}"
        for (topic, number), why in sorted(parked.items(), key=lambda one: one[0])
    ]
    return {
        "stage": "sink",
        "troubles": parts + topics + partitions,
        "parked": [
            {
                "topic": topic,
                "partition": number,
                "reason": why.reason,
                "detail": why.detail,
                "since": why.since,
            }
            for (topic, number), why in sorted(parked.items(), key=lambda one: one[0])
        ],
    }
