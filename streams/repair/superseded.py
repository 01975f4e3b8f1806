"""Finds versions that the sink refused and that newer ones have superseded since."""

from typing import Any

import asyncpg

from schemas.codec import Undecodable, decode
from schemas.records import EnrichedMessage
from schemas.versions import UnknownVersion
from storage.postgres.sql import queries


async def parted(
    connection: "asyncpg.Connection[asyncpg.Record]", rows: list[Any]
) -> tuple[list[Any], list[Any]]:
    """Splits quarantined rows into those that may be written again, and the others.

    The others have a newer version as their row. If an old version were written at the
    end of the compacted topic, compaction would keep it instead.
    """
    messages = [(at, message) for at, row in enumerate(rows) if (message := _version_in(row))]
    overtaken = await connection.fetch(
        queries("repair")["superseded"],
        [message.tenant_id for _, message in messages],
        [message.message_key for _, message in messages],
        [message.version for _, message in messages],
    )
    old = {messages[one["nth"] - 1][0] for one in overtaken}
    return (
        [row for at, row in enumerate(rows) if at not in old],
        [row for at, row in enumerate(rows) if at in old],
    )


def _version_in(row: Any) -> EnrichedMessage | None:
    if row["stage"] != "sink":
        return None
    try:
        return decode(EnrichedMessage, row["value"])
    except (Undecodable, UnknownVersion):
        return None
