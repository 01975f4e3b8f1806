"""Records of the quarantine, written to the topics they came from."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from schemas.headers import with_generation
from schemas.pipeline import TopicName
from schemas.topics import Names
from storage.postgres.sql import queries
from streams.lanes.transactions import Write
from streams.repair.superseded import parted

PLACE_COLUMNS = ("stage", "topic", "partition", "offset", "topic_id")
"""What names one quarantined record: a topic that
was made again has the same offsets under another id.
"""
REPLAYABLE: dict[str, TopicName] = {
    "dedupe": "raw-messages",
    "assemble": "enrichments",
    "sink": "enriched-messages",
}
"""Stage → the topic its records go back to.

A job's message was closed with failed(quarantined): `replay attachments` opens it
again. The sink reads receipts too: one that it refused must not end up among messages.
"""


async def read_whole(
    connection: "asyncpg.Connection[asyncpg.Record]", places: Sequence[Sequence[str | int]]
) -> tuple[list[Any], list[Any]]:
    """Rows with their bytes, and those whose message has a newer version as its row: they are not
    written again.
    """
    columns = [list(column) for column in zip(*places, strict=True)]
    rows = await connection.fetch(queries("repair")["quarantined_whole"], *columns)
    return await parted(connection, list(rows))


def write_again(row: Any, names: Names, generation: int) -> Write:
    """A raw record goes under a new generation: whether another delivery came through meanwhile or
    not, its row is written once more.
    """
    headers = [
        (name, value.encode("latin-1"))
        for name, value in msgspec.json.decode(row["headers"]).items()
    ]
    if row["stage"] == "dedupe":
        headers = with_generation(headers, generation)
    partition = row["partition"] if row["stage"] == "sink" else -1
    return Write(
        names.topic(REPLAYABLE[row["stage"]]), row["key"] or b"", row["value"], partition, headers
    )


def place_of(row: Any) -> tuple[str | int, ...]:
    """The columns that name it."""
    return tuple(row[name] for name in PLACE_COLUMNS)
