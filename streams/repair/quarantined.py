"""Writes quarantined records to the topics from which they came."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from schemas.headers import with_generation
from schemas.keys import key_partition
from schemas.pipeline import REPLAYABLE
from schemas.topics import Names
from storage.postgres.sql import queries
from streams.lanes.transactions import Write
from streams.repair.superseded import parted

PLACE_COLUMNS = ("stage", "topic", "partition", "offset", "topic_id")
"""Identifies a quarantined record.

A topic that was created again has the same offsets under another id.
"""


async def read_whole(
    connection: "asyncpg.Connection[asyncpg.Record]", places: Sequence[Sequence[str | int]]
) -> tuple[list[Any], list[Any]]:
    """Reads the rows with their bytes.

    Rows whose message has a newer version as its row are returned separately, because
    they are not written again.
    """
    columns = [list(column) for column in zip(*places, strict=True)]
    rows = await connection.fetch(queries("repair")["quarantined_whole"], *columns)
    return await parted(connection, list(rows))


def write_again(row: Any, names: Names, partitions: int, generation: int) -> Write:
    """The write of a quarantined record.

    A raw record gets a new generation: its row is written once more, whether or not
    another delivery was forwarded meanwhile.
    """
    headers = [
        (name, value.encode("latin-1"))
        for name, value in msgspec.json.decode(row["headers"]).items()
    ]
    if row["stage"] == "dedupe":
        headers = with_generation(headers, generation)
    key = row["key"] or b""
    is_of_sink = row["stage"] == "sink"
    partition = row["partition"] if is_of_sink else key_partition(key, partitions)
    return Write(names.topic(REPLAYABLE[row["stage"]]), key, row["value"], partition, headers)


def place_of(row: Any) -> tuple[str | int, ...]:
    """The columns that identify the row."""
    return tuple(row[name] for name in PLACE_COLUMNS)
